"""The options of the backend ``judge``: a chat model that moderates."""

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

Form = Literal["json", "llama-guard"]
"""How the model is asked: for scores as JSON, or as Llama Guard was trained to be."""

_FORMS: Final = get_args(Form)


def fault(options: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the options of a judge, None where all is right."""
    for name, value in options.items():
        if name != "form":
            return f"Unknown option {name}. Known: form."
        if value not in _FORMS:
            return f"Option form is wrong: it should be {' or '.join(_FORMS)}."
    return None
