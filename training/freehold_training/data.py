"""Makes the mixture of conversations to learn from, and a small one to watch the loss with."""

import hashlib
import importlib
import json
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, TextIO

from freehold_training import generators
from freehold_training.base import tokenizer
from freehold_training.batches import Conversations, Encoded, encode
from freehold_training.example import Example, Generator, Split
from freehold_training.prompt import Renderer
from freehold_training.settings import Settings

# A generator that only repeats itself this often in a row has nothing more to say.
_PATIENCE = 2000


def found() -> dict[str, Generator]:
    """Return every row's generator. Raises ``ValueError`` where two modules claim one."""
    rows: dict[str, Generator] = {}
    for module in pkgutil.iter_modules(generators.__path__):
        named = importlib.import_module(f"{generators.__name__}.{module.name}")
        offered: Mapping[str, Generator] = getattr(named, "GENERATORS", {})
        if twice := rows.keys() & offered.keys():
            raise ValueError(f"{module.name} claims rows of another module: {sorted(twice)}")
        rows |= offered
    return rows


class Mixture:
    """Draws examples that were not drawn before and are short enough."""

    def __init__(self, settings: Settings, words: Any) -> None:
        self._settings = settings.data
        self._renderer = Renderer(settings.template)
        self._words = words
        self._drawn: set[bytes] = set()

    def draw(
        self, row: str, generator: Generator, split: Split, tokens: float
    ) -> Iterator[tuple[Example, Encoded]]:
        """Yield a row's examples until they have the tokens, or the generator repeats itself."""
        chance = Random(f"{self._settings.seed}/{row}/{split}")  # noqa: S311 - no secret
        held = 0
        for example, encoded in self.fresh(generator(chance, split)):
            yield example, encoded
            held += len(encoded.ids)
            if held >= tokens:
                return

    def fresh(self, examples: Iterable[Example]) -> Iterator[tuple[Example, Encoded]]:
        """Yield those that are new and not too long."""
        idle = 0
        for example in examples:
            encoded = encode(example, self._renderer, self._words)
            digest = hashlib.sha256(repr(encoded.ids).encode()).digest()
            if digest in self._drawn or len(encoded.ids) > self._settings.longest:
                idle += 1
                if idle >= _PATIENCE:
                    return
                continue
            idle = 0
            self._drawn.add(digest)
            yield example, encoded


def prepare(settings: Settings, base: Path) -> None:
    """Write train.jsonl, validation.jsonl and their tokenised twins; print what is in them."""
    rows = found()
    mixture = Mixture(settings, tokenizer(base))
    settings.build.mkdir(parents=True, exist_ok=True)
    _write(settings.build / "validation", _validation(mixture, rows, settings))
    train = _write(settings.build / "train", _training(mixture, rows, settings))
    print(table(train))  # noqa: T201 - a command's answer


def _validation(
    mixture: Mixture, rows: Mapping[str, Generator], settings: Settings
) -> Iterator[tuple[Example, Encoded]]:
    for row, generator in rows.items():
        drawn = mixture.draw(row, generator, "held_out", float("inf"))
        yield from islice(drawn, settings.data.validation)


def _training(
    mixture: Mixture, rows: Mapping[str, Generator], settings: Settings
) -> Iterator[tuple[Example, Encoded]]:
    shares = {row: settings.data.shares.get(row, 1.0) for row in rows}
    for row, generator in rows.items():
        if tokens := settings.data.tokens * shares[row] / sum(shares.values()):
            yield from mixture.draw(row, generator, "train", tokens)
    for file in settings.data.extra:
        with file.open(encoding="utf-8") as lines:
            yield from mixture.fresh(json.loads(line) for line in lines)


def _write(path: Path, drawn: Iterable[tuple[Example, Encoded]]) -> Conversations:
    partial = path.with_suffix(".part")
    with partial.open("w", encoding="utf-8") as lines:
        held = Conversations.of(_written(lines, drawn))
    partial.replace(path.with_suffix(".jsonl"))
    held.save(path.with_suffix(".npz"))
    return held


def _written(lines: TextIO, drawn: Iterable[tuple[Example, Encoded]]) -> Iterator[Encoded]:
    for example, encoded in drawn:
        lines.write(json.dumps(example, ensure_ascii=False) + "\n")
        yield encoded


def table(held: Conversations) -> str:
    """Return a line per row: examples, tokens, and tokens that are learnt."""
    sums: dict[str, list[int]] = {}
    for number, (row, tokens) in enumerate(zip(held.rows.tolist(), held.lengths, strict=True)):
        counts = (1, tokens, held.learnt_of(number))
        sums[row] = [sum(pair) for pair in zip(sums.get(row, [0, 0, 0]), counts, strict=True)]
    total = [sum(column) for column in zip(*sums.values(), strict=True)]
    lines = [f"{'row':28}{'examples':>10}{'tokens':>12}{'learnt':>10}"]
    for row, (examples, tokens, learnt) in [*sorted(sums.items()), ("all", total)]:
        lines.append(f"{row:28}{examples:10,}{tokens:12,}{learnt:10,}")
    return "\n".join(lines)
