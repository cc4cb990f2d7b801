"""Marks in answers that say where a sentence comes from: ``【4:0†name.pdf】``.

They are set by us, not by the model: a sentence whose words are nearly all in a passage that was
found is taken to come from there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_MARK: Final = re.compile(r"【(\d+):(\d+)†[^】]*】")
_LONGEST_MARK: Final = 300
_END: Final = re.compile(r"(?<=[.!?])[\"'\u201d\u2019)\]]*(?=\s)|(?<=\S)(?=\n)")
_WORD: Final = re.compile(r"\w+(?:[.,]\d+)*")
_STEM: Final = 6  # letters that tell a word apart from others, whatever its ending
_CLOSE: Final = 0.6  # share of a sentence's words that are in its source
_TELLING: Final = 5  # letters of a word that may stand alone
# A sentence that says what the files do not hold comes from none of them.
_DENIES: Final = re.compile(
    r"\b(?:texts?|files?|documents?|passages?|articles?|sources?|context|information)\b.{0,40}?"
    r"\b(?:do|does|did|is|are|was|were|can|could)(?:n['\u2019]t| not)\b|\bnot be found\b",
    re.IGNORECASE,
)
_STOP: Final = frozenset(
    _WORD.findall(
        """
    a about above after again all also am an and any are as at be because been before being
    between both but by can could did do does doing down during each few for from further had has
    have having he her here hers him his how i if in into is it its just me more most my no nor not
    of off on once only or other our out over own said same she should so some such than that the
    their them then there these they this those through to too under until up upon very was we were
    what when where which while who whom why will with would you your yes
    according document file mentions passage states text
    """
    )
)


@dataclass(frozen=True, slots=True)
class Source:
    """A passage that was found. ``mark`` names it in answers."""

    mark: str
    file_id: str
    text: str
    words: frozenset[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of an answer, and the annotation that it is the text of, if it is a mark."""

    text: str
    annotation: dict[str, Any] | None = None


def sources(steps: Sequence[Mapping[str, Any]], first: int) -> list[Source]:
    """Return the passages that the searches of these steps found; ``first`` numbers the first."""
    found: list[Source] = []
    calls = [call for step in steps for call in step["details"].get("tool_calls", ())]
    searches = [call["file_search"] for call in calls if call["type"] == "file_search"]
    for number, search in enumerate(searches, first):
        for place, result in enumerate(search.get("results", ())):
            text = "\n".join(part["text"] for part in result["content"])
            mark = f"【{number}:{place}†{result['file_name']}】"
            found.append(Source(mark, result["file_id"], text, frozenset(words(text))))
    return found


def without_marks(text: str) -> str:
    """Return the text without its marks: a model that reads them would imitate them."""
    return _MARK.sub("", text)


def words(text: str) -> list[str]:
    """Return what a text's words are about: small words and most endings left out."""
    found = (word.lower() for word in _WORD.findall(text))
    return [word[:_STEM] for word in found if word not in _STOP]


def closest(sentence: str, known: Sequence[Source]) -> Source | None:
    """Return the passage that a sentence comes from, None where none is close enough.

    Each number of the sentence must be in the passage: a wrong one is no citation.
    """
    about = set(words(sentence))
    if _DENIES.search(sentence) or not about or (len(about) == 1 and not _telling(sentence)):
        return None
    figures = {word for word in about if any(map(str.isdigit, word))}
    holding = [source for source in known if figures <= source.words]
    shares = [(len(about & source.words) / len(about), source) for source in holding]
    share, source = max(shares, key=lambda pair: pair[0], default=(0.0, None))
    return source if share >= _CLOSE else None


def _telling(sentence: str) -> bool:
    """Return whether a single word says enough: a number, or a long word."""
    telling = (w for w in _WORD.findall(sentence) if w.lower() not in _STOP)
    return any(len(word) >= _TELLING or any(map(str.isdigit, word)) for word in telling)


class Citer:
    """Fed with an answer as it comes, sets marks behind the sentences that have a source."""

    def __init__(self, known: Sequence[Source]) -> None:
        self._known = known
        self._held = ""  # perhaps the beginning of a mark of the model's own
        self._sentence = ""
        self._length = 0

    @property
    def length(self) -> int:
        """How many characters were let out."""
        return self._length

    def feed(self, text: str) -> list[Said]:
        """Return what may be sent now."""
        if not self._known:
            return self._out(without_marks(text)) if text else []
        text = _MARK.sub("", self._held + text)
        begun = text.rfind("【")
        if begun < 0 or len(text) - begun > _LONGEST_MARK:
            begun = len(text)
        text, self._held = text[:begun], text[begun:]
        return self._sentences(text)

    def finish(self) -> list[Said]:
        """Return what is left."""
        held, self._held = self._held, ""
        return [*self._sentences(held), *self._cite()]

    def _sentences(self, text: str) -> list[Said]:
        """Let a text out, with a mark behind each sentence that ends in it."""
        said: list[Said] = []
        start = len(self._sentence)
        joined = self._sentence + text
        at = 0
        for end in _END.finditer(joined):
            if end.end() < start or end.end() <= at:
                continue
            self._sentence = joined[at : end.end()]
            said += self._out(joined[max(at, start) : end.end()])
            said += self._cite()
            at = end.end()
        said += self._out(joined[max(at, start) :])
        self._sentence = joined[at:]
        return said

    def _cite(self) -> list[Said]:
        sentence, self._sentence = self._sentence, ""
        source = closest(sentence, self._known)
        if source is None:
            return []
        annotation = {
            "type": "file_citation",
            "text": source.mark,
            "start_index": self._length,
            "end_index": self._length + len(source.mark),
            "file_citation": {"file_id": source.file_id},
        }
        self._length += len(source.mark)
        return [Said(source.mark, annotation)]

    def _out(self, text: str) -> list[Said]:
        self._length += len(text)
        return [Said(text)] if text else []


def sentences(text: str) -> list[str]:
    """Return a text's sentences; a line's end ends one."""
    parts = re.split(r"(?<=[.!?])\s+|\n+", text)
    return [" ".join(part.split()) for part in parts if part.strip()]
