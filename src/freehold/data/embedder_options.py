"""The options of embedding models of BERT's kind, which the backend ``minilm`` computes."""

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

Precision = Literal["float32", "int8"]
"""The numbers to compute with: int8 is faster and a little less exact."""

_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {"precision": get_args(Precision)}


def fault(options: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the options of a model, None where all is right."""
    for name, value in options.items():
        if name not in _CHOICES:
            return f"Unknown option {name}. Known: {', '.join(_CHOICES)}."
        if value not in _CHOICES[name]:
            return f"Option {name} is wrong: it should be {' or '.join(_CHOICES[name])}."
    return None
