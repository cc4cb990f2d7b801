"""Which questions models are judged by, word for word or nearly: nobody may learn these."""

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

_FILES = ("general.toml", "open.toml")
# A question or a wish ends like a sentence; the keys to the answers do not.
_SENTENCE = re.compile(r'"((?:[^"\\\n]|\\.){8,}[.?!])"')
# Words that say nothing of what is asked for.
_EMPTY = re.compile(
    r"\b(?:a|an|and|are|city|country|define|do|does|explain|for|give|how|in|is|it|mean|meaning|me|name"
    r"|of|on|one|or|say|short|tell|that|the|this|to|two|what|which|who|whose|why|word|write|you)\b"
)


def judged(question: str) -> bool:
    """Return whether nearly all that a question asks for is asked in one of the evaluation."""
    words = _words(question)
    return bool(words) and any(len(words & one) > 0.7 * len(words) for one in _asked())


@cache
def _asked() -> Sequence[set[str]]:
    folder = files("freehold_training") / "items"
    texts = [(folder / name).read_text("utf-8") for name in _FILES]
    return [_words(question) for text in texts for question in _SENTENCE.findall(text)]


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+|\d+", _EMPTY.sub(" ", text.lower())))
