"""What a text says, read by rules: which words it holds, whether it declines, whether it loops."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_WORD = re.compile(r"\d+(?:\.\d+)?|[^\W_]+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_LIST_MARK = re.compile(r"^\s*(?:[-*•]|\(?\d+[.):])\s*")

# With straight apostrophes, in lower case. Each says that something is not known or not given.
_DECLINING = re.compile(
    r"\b(?:"
    r"(?:does|do|did|is|are|was|were|has|have|can|could)(?: not|n't)(?: \w+){0,3} "
    r"(?:say|said|state|stated|mention|mentioned|tell|told|give|given|specify|specified|contain"
    r"|include|included|provide|provided|hold|list|listed|describe|described|indicate|indicated"
    r"|answer|find|determine|know|reveal|explain|cover|discuss|available|know[ns]?|name|named"
    r"|in the (?:text|passage|article|document|note|message|report|letter))"
    r"|not (?:explicitly |directly |actually )?(?:mentioned|stated|given|specified|provided|said"
    r"|included|listed|available|known|found|told|covered|described|named"
    r"|in the (?:text|passage|article|document|note|message|report|letter))"
    r"|(?:no|without any) (?:information|mention|detail|details|answer|indication|record)"
    r"|(?:nothing|not anything|no word) (?:in|is|about|on|of|that)\b"
    r"|says nothing|gives no|makes no mention|contains no|has no (?:information|mention)"
    r"|cannot (?:be determined|be answered|be found|tell|say|answer|find|determine)"
    r"|(?:i|we) (?:don't|do not|can't|can not) (?:know|tell|see|find|say)"
    r"|unknown|unclear from|leaves? (?:it|that|this) open|doesn't say"
    r")"
)
# What comes with a guess in spite of it.
_GUESSING = re.compile(
    r"\b(?:the answer is|probably|most likely|it is likely|i (?:would )?(?:guess|assume|think"
    r"|believe)|we can (?:assume|infer)|it can be (?:assumed|inferred)|in general,)"
)


def words(text: str) -> list[str]:
    """Return the words in lower case, without accents and punctuation; numbers by value.

    ``1,250.00`` and ``1250`` are the same word, so are ``Café`` and ``cafe``.
    """
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()
    found = _WORD.findall(_THOUSANDS.sub("", plain))
    return [_number(word) if word[0].isdigit() else word for word in found]


def holds(text: str, phrase: str) -> bool:
    """Return whether the words of the phrase stand in the text, whole and in this order."""
    return _holds(words(text), words(phrase))


def declines(text: str, given: str) -> str | None:
    """Return None where a text says that ``given`` does not hold the answer, else what is wrong.

    Some sentence must say so, none may guess, and no number and no name (a word that begins with a
    capital inside a sentence) may appear that ``given`` does not hold: that would be an answer.
    """
    plain = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").casefold()
    if not _DECLINING.search(plain):
        return "does not say that the text leaves it open"
    if guess := _GUESSING.search(plain):
        return f"guesses: {guess[0]}"
    known = set(words(given))
    invented = [value for value in _values(text) if not set(words(value)) <= known]
    return f"brings in {', '.join(invented)}" if invented else None


def loops(text: str) -> str | None:
    """Return how a text loops, None where it does not.

    It loops where

    - a line or sentence of three words or more stands in it three times (list marks do not count),
    - one group of four words covers 30 % of at least 20 words, or
    - one word or a group of up to 20 letters stands six times in a row.
    """
    if again := _again(_units(text)):
        return f"says three times: {again}"
    if group := _covering(words(text)):
        return f"most of it is: {group}"
    if run := re.search(r"(?=\S*[^\W_])(\S.{0,19}?)(?:\s*\1){5,}", text):
        return f"in a row: {run[1]}"
    return None


def _number(word: str) -> str:
    return word.rstrip("0").rstrip(".") if "." in word else word


def _holds(text: Sequence[str], phrase: Sequence[str]) -> bool:
    size = len(phrase)
    return any(text[at : at + size] == phrase for at in range(len(text) - size + 1))


def _values(text: str) -> Iterable[str]:
    """Yield the numbers of a text, and its words with a capital that begin no sentence."""
    for sentence in _SENTENCE_END.split(text):
        for place, word in enumerate(re.findall(r"[\w'.,-]*\w", sentence)):
            named = word[0].isupper() and place > 0 and not re.match(r"I\b", word)
            if named or word[0].isdigit():
                yield word


def _units(text: str) -> Iterable[tuple[str, ...]]:
    for unit in _SENTENCE_END.split(text):
        yield tuple(words(_LIST_MARK.sub("", unit)))


def _again(units: Iterable[tuple[str, ...]]) -> str | None:
    counted = Counter(unit for unit in units if len(unit) >= 3)
    return next((" ".join(unit) for unit, times in counted.items() if times >= 3), None)


def _covering(found: Sequence[str]) -> str | None:
    if len(found) < 20:
        return None
    places: dict[tuple[str, ...], set[int]] = {}
    for at in range(len(found) - 3):
        places.setdefault(tuple(found[at : at + 4]), set()).update(range(at, at + 4))
    group = max(places, key=lambda each: len(places[each]))
    return " ".join(group) if len(places[group]) >= 0.3 * len(found) else None
