"""Answers to questions on stories, as sentences where the question shows how."""

import re

# After "Who", the verb of a question can take an answer in front of it.
_WHO = re.compile(r"Who (\w+) (.+)\?$")
_FELT = re.compile(r"How did ([^,]+?) feel\b([^?]*)\?$")
_WHERE = re.compile(r"Where (was|were) ((?:the|a|an|his|her|their|[A-Z])[\w' ]{2,30})\?$")
_PAST = re.compile(
    r"gave|took|went|came|told|said|saw|met|found|made|brought|sent|led|ran|fell|held|kept|lived"
    r"|heard|became|got|won|lost|left|stole|stood|sat|threw|drew|built|caught|ate|drank|slept|wore"
    r"|spoke|broke|bought|sold|taught|thought|knew|grew|flew|rode|rose|chose|swore|wrote|\w+ed"
)
_NOT_PAST = frozenset({"need", "feed"})
# Words of sentences, which an answer that is put in front of a verb must not have.
_CLAUSE = re.compile(
    r"\b(?:was|were|is|are|had|has|have|did|that|who|because|when|he|she|they|it|to|by|with|for)\b",
    re.IGNORECASE,
)
_ADJECTIVE = re.compile(r"(?:(?:very|quite|so) )?[a-z]+(?: and (?:very )?[a-z]+)?$", re.IGNORECASE)
_FEELINGS = ("ed", "y", "ful", "ad", "ous", "less", "sick", "ited", "aid", "oud", "rite", "ale")
_MOST_WORDS = 5


def story_answer(question: str, answer: str) -> str:
    """Return the answer as a sentence that says what was asked, else as it is with a full stop."""
    plain = answer.strip().rstrip(".!")
    for form in (_who, _felt, _where):
        if made := form(question, plain):
            return _ended(made)
    return _ended(answer)


def _who(question: str, answer: str) -> str | None:
    found = _WHO.match(question)
    if not found or not _short(answer):
        return None
    verb, rest = found[1], found[2]
    past = _PAST.fullmatch(verb) and verb not in _NOT_PAST
    return f"{answer} {verb} {rest}" if past and " did " not in rest else None


def _felt(question: str, answer: str) -> str | None:
    found = _FELT.match(question)
    if (
        not found
        or not _ADJECTIVE.match(answer)
        or not answer.rsplit(maxsplit=1)[-1].endswith(_FEELINGS)
    ):
        return None
    return f"{found[1]} felt {answer.lower()}"


def _where(question: str, answer: str) -> str | None:
    found = _WHERE.match(question)
    begins = answer.split(" ", 1)[0].lower()
    if not found or begins not in ("in", "on", "at", "under", "behind", "near", "inside"):
        return None
    return f"{found[2]} {found[1]} {answer[:1].lower()}{answer[1:]}"


def _short(answer: str) -> bool:
    return 0 < len(answer.split()) <= _MOST_WORDS and not _CLAUSE.search(answer)


def _ended(answer: str) -> str:
    answer = answer.strip()
    ended = answer if answer.endswith((".", "!", "?", '"')) else answer + "."
    return ended[:1].upper() + ended[1:]
