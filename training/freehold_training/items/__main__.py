"""Make the held-out items from our generators: ``python -m freehold_training.items``."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from itertools import islice
from pathlib import Path
from random import Random

from freehold_training.example import Item
from freehold_training.items import HELD_OUT, HELD_OUT_ROWS

GENERATORS = ("tools", "reading", "json_answers", "memory")
COUNT, SEED = 120, 2024
_PATIENCE = 1000

Maker = Callable[[Random], Iterator[Item]]


def main() -> None:
    """Write the file and say how many items of which row are in it."""
    made = {row: list(items(row)) for row in HELD_OUT_ROWS}
    lines = [json.dumps(item, ensure_ascii=False) for row in made.values() for item in row]
    packed = gzip.compress("\n".join(lines).encode(), mtime=0)
    Path(__file__).with_name(HELD_OUT).write_bytes(packed)
    for row, found in made.items():
        print(f"{row:16} {len(found)}")  # noqa: T201 - a command prints


def items(row: str, count: int = COUNT) -> Iterator[Item]:
    """Yield the items of a row: no two ask the same, and the same ones every time."""
    random = Random(f"{SEED}:{row}")  # noqa: S311 - questions, not secrets
    for number, item in enumerate(islice(_unlike(_makers()[row](random)), count)):
        yield {**item, "id": f"{row}-{number}", "row": row}


def _makers() -> Mapping[str, Maker]:
    modules = [import_module(f"freehold_training.generators.{name}") for name in GENERATORS]
    return {row: maker for module in modules for row, maker in module.ITEMS.items()}


def _unlike(found: Iterator[Item]) -> Iterator[Item]:
    """Yield items that differ. Raises ``ValueError`` where nothing new comes any more."""
    seen: set[str] = set()
    repeated = 0
    for item in found:
        asked = json.dumps([item["messages"], item.get("tools")])
        repeated = repeated + 1 if asked in seen else 0
        if repeated > _PATIENCE:
            raise ValueError(f"The generator of {item['row']} knows {len(seen)} items only.")
        if not repeated:
            seen.add(asked)
            yield item


if __name__ == "__main__":
    main()
