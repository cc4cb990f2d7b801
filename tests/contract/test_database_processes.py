"""What survives a kill, and how several processes share one database."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import text

from freehold.storage.database import Database

# Writes rows named PREFIX-0, PREFIX-1, ... from several callers and prints each once it is
# acknowledged.
PROGRAM = """
import asyncio, sys
from pathlib import Path
from sqlalchemy import text
from freehold.storage.address import is_sqlite, parse
from freehold.storage.postgres import PostgresDatabase
from freehold.storage.sqlite import SQLiteDatabase

url, prefix, count = parse(sys.argv[1]), sys.argv[2], int(sys.argv[3])
statement = text("INSERT INTO names VALUES (:name)")

async def write(database, numbers):
    for number in numbers:
        name = f"{prefix}-{number}"
        await database.write(lambda c: c.execute(statement, {"name": name}))
        print(name, flush=True)

async def main():
    open_it = SQLiteDatabase if is_sqlite(url) else PostgresDatabase
    database = open_it(Path(url.database) if is_sqlite(url) else url)
    await asyncio.gather(*(write(database, range(n, count, 8)) for n in range(8)))
    await database.close()

asyncio.run(main())
"""


def start_writer(url: str, prefix: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, url, prefix, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def make_table(database: Database) -> None:
    await database.write(lambda c: c.execute(text("CREATE TABLE names (name TEXT PRIMARY KEY)")))


async def names_in(database: Database) -> set[str]:
    return await database.read(lambda c: set(c.scalars(text("SELECT name FROM names"))))


async def test_acknowledged_writes_survive_kill_9(
    durable_url: str, open_again: Callable[[str], Database]
) -> None:
    database = open_again(durable_url)
    await make_table(database)
    await database.close()

    with start_writer(durable_url, "row", 1_000_000) as writer:
        assert writer.stdout
        acknowledged = {writer.stdout.readline().strip() for _ in range(300)}
        writer.kill()
        acknowledged |= {line.strip() for line in writer.stdout if line.endswith("\n")}

    assert len(acknowledged) >= 300
    assert acknowledged <= await names_in(open_again(durable_url))


async def test_two_processes_write_to_one_database_at_once(
    durable_url: str, open_again: Callable[[str], Database]
) -> None:
    database = open_again(durable_url)
    await make_table(database)

    with ExitStack() as stack:
        others = [
            stack.enter_context(start_writer(durable_url, prefix, 400)) for prefix in ("a", "b")
        ]
        assert others[0].stdout
        await asyncio.to_thread(others[0].stdout.readline)  # the others have begun
        statement = text("INSERT INTO names VALUES (:name)")
        for number in range(100):
            row = {"name": f"own-{number}"}
            await database.write(lambda c, row=row: c.execute(statement, row))
        for other in others:
            await asyncio.to_thread(other.communicate)

    assert [other.returncode for other in others] == [0, 0]
    assert len(await names_in(database)) == 900


async def test_reads_go_on_while_another_process_holds_the_write_lock(
    tmp_path: Path, open_again: Callable[[str], Database]
) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    database, other = open_again(url), open_again(url)
    await make_table(database)
    release, started = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold(_: object) -> None:
        loop.call_soon_threadsafe(started.set)
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(20)

    holding = asyncio.create_task(other.write(hold))
    await started.wait()
    insert = text("INSERT INTO names VALUES ('late')")
    waiting = asyncio.create_task(database.write(lambda c: c.execute(insert)))
    assert await names_in(database) == set()
    assert not waiting.done()
    release.set()
    await asyncio.gather(holding, waiting)

    assert await names_in(database) == {"late"}
