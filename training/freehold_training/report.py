"""Put the figures and the sample conversations of evaluations into the model card.

``python -m freehold_training.report base.jsonl tuned.jsonl`` writes both into
``docs/built-in-model.md`` (``--page``), between its markers; ``--print`` only shows them.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from freehold_training.items import CONVERSATIONS, load
from freehold_training.results import Answered, Figure, ResultsError, figures, read

PAGE = Path("docs/built-in-model.md")
_BEGIN = "<!-- {name}: made by python -m freehold_training.report, do not edit -->"
_END = "<!-- end of {name} -->"

Answers = Mapping[str, Answered]


def table(runs: Mapping[str, Answers]) -> str:
    """Return a Markdown table: one line for each figure, one column for each run."""
    found = {title: _by_name(answers.values()) for title, answers in runs.items()}
    names = list(dict.fromkeys(name for each in found.values() for name in each))
    lines = [f"| | items | {' | '.join(found)} |", "|---|---|" + "---|" * len(found)]
    for name in names:
        given = [each.get(name) for each in found.values()]
        items = max(figure.total for figure in given if figure)
        lines.append(f"| {name} | {items} | {' | '.join(map(_cell, given))} |")
    return "\n".join(lines)


def _by_name(answers: Iterable[Answered]) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures(answers)}


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    low, high = figure.interval
    errors = f", {figure.errors} errors" if figure.errors else ""
    return f"{figure.share:.0%} ({low:.0%} to {high:.0%}{errors})"


def conversations(answers: Answers) -> str:
    """Return every sample conversation as Markdown quotes, the model's words unchanged."""
    return "\n\n".join(
        _conversation(number, [turn["content"] for turn in item["messages"]], answers[item["id"]])
        for number, item in enumerate(load([CONVERSATIONS]), 1)
    )


def _conversation(number: int, turns: Sequence[str], answered: Answered) -> str:
    said = [answer.get("content") or "" for answer in answered.answers]
    said += [f"({answered.error})"] if answered.error else []
    spoken = [
        f"{_quoted(f'**User:** {turn}')}\n>\n{_quoted(f'**Model:** {answer}')}"
        for turn, answer in zip(turns, said, strict=False)
    ]
    return "\n>\n".join([f"{number}.\n\n{spoken[0]}", *spoken[1:]])


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def insert(page: str, name: str, text: str) -> str:
    """Return the page with the text between the markers. Raises ``ValueError`` without them."""
    begin, end = _BEGIN.format(name=name), _END.format(name=name)
    if begin not in page or end not in page:
        raise ValueError(f"The page has no markers for {name}.")
    head, _, rest = page.partition(begin)
    return f"{head}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}"


def main() -> None:
    """Fill the page, or print what would go into it."""
    parser = argparse.ArgumentParser(description="Put an evaluation's figures into the model card.")
    parser.add_argument("base", type=Path, help="answers of the base model")
    parser.add_argument("tuned", type=Path, nargs="?", help="answers of the tuned model")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--print", action="store_true", dest="only_print")
    given = parser.parse_args()
    try:
        runs = {
            title: read(path)[1]
            for title, path in (("base", given.base), ("tuned", given.tuned))
            if path
        }
        shown = table(runs), conversations(list(runs.values())[-1])
    except (ResultsError, OSError) as error:
        sys.exit(f"Error: {error}")
    except KeyError as error:
        sys.exit(f"Error: the answers lack {error}: run the row {CONVERSATIONS} first.")
    if given.only_print:
        print("\n\n".join(shown))  # noqa: T201 - a command prints
        return
    page = given.page.read_text("utf-8")
    for name, text in zip(("results", "conversations"), shown, strict=True):
        page = insert(page, name, text)
    given.page.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
