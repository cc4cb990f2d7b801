"""A temporary PostgreSQL server for tests, on a Unix socket in a temporary folder.

Its programs are looked for on PATH, then in ``/usr/lib/postgresql/*/bin`` (the newest). The server
refuses to run as root, so root hands it to the user ``postgres``, or else to ``nobody``.
``FREEHOLD_TEST_POSTGRES=off`` skips the tests that need it.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Path]:
    """Start one server for the whole session and give the folder of its socket."""
    if os.environ.get("FREEHOLD_TEST_POSTGRES") == "off":
        pytest.skip("FREEHOLD_TEST_POSTGRES=off")
    programs = _find_programs()
    # Not pytest's tmp_path: other users may not enter it, and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="freehold-pg-"))
    account = _unprivileged_account(folder)
    data = folder / "data"
    try:
        _run(programs / "initdb", "-D", data, "-U", "freehold", "-E", "UTF8", "--no-locale",
             "--auth=trust", "--no-sync", **account)  # fmt: skip
        options = f"-k {folder} -c listen_addresses="
        _run(programs / "pg_ctl", "-D", data, "-l", folder / "log", "-o", options, "-w", "start",
             **account)  # fmt: skip
        yield folder
        _run(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop", **account)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: Path) -> Iterator[str]:
    """Give the address of an empty database, dropped after the test."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(f"host={postgres_server} user=freehold dbname=postgres") as admin:
        admin.autocommit = True
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield f"postgresql://freehold@/{name}?host={postgres_server}"
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _find_programs() -> Path:
    """Return the folder that holds initdb and pg_ctl."""
    found = shutil.which("pg_ctl")
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name)
    )
    if found:
        folders.insert(0, Path(found).resolve().parent)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    pytest.fail(
        "PostgreSQL's initdb and pg_ctl are neither on PATH nor in /usr/lib/postgresql/*/bin: "
        "install PostgreSQL 15 or newer, or set FREEHOLD_TEST_POSTGRES=off to skip these tests."
    )


def _unprivileged_account(folder: Path) -> dict[str, Any]:
    """Return the account to run as, and make the folder its own; nothing where we are not root."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("nobody")
    with suppress(KeyError):
        account = pwd.getpwnam("postgres")
    os.chown(folder, account.pw_uid, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _run(program: Path, *arguments: str | Path, **account: Any) -> None:
    """Run one of PostgreSQL's programs; fail with what it printed."""
    with tempfile.TemporaryFile() as output:  # a pipe would stay open as long as the server runs
        done = subprocess.run(
            [program, *arguments], stdout=output, stderr=output, check=False, cwd="/", **account
        )
        output.seek(0)
        if done.returncode:
            pytest.fail(f"{program.name} failed: {output.read().decode(errors='replace')}")
