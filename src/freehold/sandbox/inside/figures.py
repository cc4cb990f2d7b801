"""matplotlib's backend in the jail: ``plt.show()`` sends the figures."""

from matplotlib.backends.backend_agg import FigureCanvasAgg

from . import display

FigureCanvas = FigureCanvasAgg


def show(*_arguments: object, **_options: object) -> None:
    """Show all figures now, before what is printed next."""
    display.figures()
