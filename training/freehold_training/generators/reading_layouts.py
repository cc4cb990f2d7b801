"""The ways in which people hand over a text and ask about it."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from freehold_training.example import Split
from freehold_training.generators.chat_frame import opening
from freehold_training.generators.reading_texts import Asked, Passage

Layout = Callable[[Sequence[Passage], str, Random, Split], list[dict[str, Any]]]

# The last of each list is for the evaluation.
_TEXT_FIRST = (
    "{text}\n\n{question}",
    "{text}\n\nQuestion: {question}",
    "Context:\n{text}\n\nQuestion: {question}",
    "Context: {text}\n\n{question}",
    "Read this text:\n\n{text}\n\n{question}",
    "Answer from the text below.\n\n{text}\n\nQuestion: {question}",
    "Use only the following text to answer.\n\n{text}\n\nQuestion: {question}\nAnswer:",
    'Here is a text: """{text}"""\n{question}',
    "Text:\n{text}\n\nAnswer this question from the text: {question}",
    "I have this document:\n---\n{text}\n---\n{question}",
    "Please read the following and answer my question.\n\n{text}\n\nMy question: {question}",
)
_QUESTION_FIRST = (
    "{question}\n\n{text}",
    "Question: {question}\n\nText: {text}",
    "{question} Here is the text:\n\n{text}",
    "Answer the question from the text.\nQuestion: {question}\nText:\n{text}",
    "{question} Look it up in this:\n\n{text}",
)
_SYSTEM = (
    "Answer the user's questions from this text:\n\n{text}",
    "You answer questions about the following document.\n\n{text}",
    "You are a helpful assistant. Use this information:\n{text}",
    "Answer only from the context. If it is not there, say so.\n\nContext:\n{text}",
    "Everything you know is in this text:\n\n{text}",
)
_RETRIEVED = (
    "Search results:\n\n{text}\n\nQuestion: {question}",
    "{text}\n\nUse the passages above to answer: {question}",
    "Answer from these passages.\n\n{text}\n\n{question}",
    "These passages were found:\n\n{text}\n\n{question}",
)
_FILES = (
    "notes.txt",
    "report.pdf",
    "guide.md",
    "archive.txt",
    "info.docx",
    "page.html",
    "faq.md",
    "letter.txt",
)


def laid_out(
    passages: Sequence[Passage], questions: Sequence[str], random: Random, split: Split
) -> list[dict[str, Any]]:
    """Return the messages: the text with the first question, then the others.

    An assistant message with nothing in it stands after each question.
    """
    layout = random.choice((_text_first, _text_first, _question_first, _in_system, _retrieved))
    messages = layout(passages, questions[0], random, split)
    for question in questions[1:]:
        messages += [_answer(), {"role": "user", "content": question}]
    return [*messages, _answer()]


def answered(messages: Sequence[dict[str, Any]], asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """Return the messages with the answers in the assistant's turns."""
    answers = iter(asked)
    return [
        {**message, "content": next(answers).answer} if message["role"] == "assistant" else message
        for message in messages
    ]


def _answer() -> dict[str, Any]:
    return {"role": "assistant", "content": ""}


def _wording(wordings: Sequence[str], random: Random, split: Split) -> str:
    return wordings[-1] if split == "held_out" else random.choice(wordings[:-1])


def _text_first(
    passages: Sequence[Passage], question: str, random: Random, split: Split
) -> list[dict[str, Any]]:
    return _one_turn(_TEXT_FIRST, _joined(passages), question, random, split)


def _question_first(
    passages: Sequence[Passage], question: str, random: Random, split: Split
) -> list[dict[str, Any]]:
    return _one_turn(_QUESTION_FIRST, _joined(passages), question, random, split)


def _retrieved(
    passages: Sequence[Passage], question: str, random: Random, split: Split
) -> list[dict[str, Any]]:
    return _one_turn(_RETRIEVED, _listed(passages, random), question, random, split)


def _one_turn(
    wordings: Sequence[str], text: str, question: str, random: Random, split: Split
) -> list[dict[str, Any]]:
    content = _wording(wordings, random, split).format(text=text, question=question)
    return [*opening(random, split), {"role": "user", "content": content}]


def _in_system(
    passages: Sequence[Passage], question: str, random: Random, split: Split
) -> list[dict[str, Any]]:
    system = _wording(_SYSTEM, random, split).format(text=_joined(passages))
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]


def _joined(passages: Sequence[Passage]) -> str:
    return "\n\n".join(one.text for one in passages)


def _listed(passages: Sequence[Passage], random: Random) -> str:
    names = random.sample(_FILES * 2, len(passages))
    listed = zip(passages, names, strict=True)
    return "\n\n".join(
        f"[{number}] {name}\n{one.text}" for number, (one, name) in enumerate(listed, 1)
    )
