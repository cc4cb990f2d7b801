"""Single inserts per second through Database.write, against raw sqlite3 commits in the same run.

Run: ``python bench/database.py [--folder DISK] [--rounds N]``. Each round measures every case on a
new file, so a slow moment of the disk strikes all of them; figure and ratio are medians over the
rounds, the ratio being taken within each round.
"""

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

from sqlalchemy import Column, Integer, MetaData, Table, Text, insert

from freehold.storage.sqlite import SQLiteDatabase, connect

SCHEMA = MetaData()
ROWS = Table("rows", SCHEMA, Column("id", Integer, primary_key=True), Column("name", Text))
INSERT = insert(ROWS).inline()
ROW = {"name": "x" * 60}


def raw_writes(path: Path, count: int) -> float:
    """Commit each row on its own, as plain sqlite3 code would; return rows per second."""
    with closing(connect(path)) as raw:
        raw.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT)")
        started = time.perf_counter()
        for _ in range(count):
            _insert_raw(raw)
        return count / (time.perf_counter() - started)


def _insert_raw(raw: sqlite3.Connection) -> None:
    raw.execute("BEGIN IMMEDIATE")
    raw.execute("INSERT INTO rows (name) VALUES (:name)", ROW)
    raw.execute("COMMIT")


def database_writes(callers: int) -> Callable[[Path, int], float]:
    """Return a case in which so many callers write one row after another."""
    return lambda path, count: asyncio.run(_database_writes(path, count, callers))


async def _database_writes(path: Path, count: int, callers: int) -> float:
    database = SQLiteDatabase(path, schema=SCHEMA)

    async def write_rows() -> None:
        for _ in range(count // callers):
            await database.write(lambda connection: connection.execute(INSERT, ROW))

    started = time.perf_counter()
    await asyncio.gather(*(write_rows() for _ in range(callers)))
    elapsed = time.perf_counter() - started
    await database.close()
    return count / elapsed


CASES: dict[str, tuple[int, Callable[[Path, int], float]]] = {
    "raw sqlite3, 1 caller": (1500, raw_writes),
    "Database.write, 1 caller": (1500, database_writes(1)),
    "Database.write, 16 callers": (16000, database_writes(16)),
}


def measure(folder: str | None, rounds: int) -> dict[str, list[float]]:
    """Return each case's rows per second in every round; every other round runs backwards."""
    figures: dict[str, list[float]] = {name: [] for name in CASES}
    for number in range(rounds):
        for name in list(CASES)[:: -1 if number % 2 else 1]:
            count, case = CASES[name]
            with tempfile.TemporaryDirectory(dir=folder) as fresh:
                figures[name].append(case(Path(fresh) / "bench.db", count))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", help="folder on the disk to measure")
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    figures = measure(options.folder, options.rounds)
    peer = next(iter(figures.values()))
    print(f"{'case':30}{'rows/s':>10}{'ratio':>8}")
    for name, found in figures.items():
        ratio = median(own / raw for own, raw in zip(found, peer, strict=True))
        print(f"{name:30}{median(found):10.0f}{ratio:8.2f}")


if __name__ == "__main__":
    main()
