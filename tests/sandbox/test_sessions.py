"""Sessions as a run uses them: variables, output, pictures, interrupts, and how many there are."""

import asyncio
import contextlib
import os

import pytest
import pytest_asyncio

from freehold import app
from freehold.core.settings import InterpreterSettings, Settings
from freehold.sandbox.events import (
    Ended,
    Logs,
    Picture,
    SandboxBusyError,
    SandboxError,
    SandboxFileError,
    SandboxUnavailableError,
)
from freehold.sandbox.pool import Sandboxes


@pytest_asyncio.fixture
async def pool():
    """Return a function that opens sandboxes with settings; they close with the test."""
    opened = []

    async def begin(**settings):
        sandboxes = Sandboxes(InterpreterSettings(**settings))
        try:
            await sandboxes.jail()
        except SandboxUnavailableError as error:
            pytest.skip(str(error))
        sandboxes.open()
        opened.append(sandboxes)
        return sandboxes

    yield begin
    for sandboxes in opened:
        await sandboxes.close()


@pytest_asyncio.fixture
async def session(pool):
    return await (await pool()).session("thread_1")


async def said(session, code):
    """Return a call's events, text joined."""
    events = [event async for event in session.run(code)]
    text = "".join(event.text for event in events if isinstance(event, Logs))
    assert isinstance(events[-1], Ended)
    return text, events[-1]


ECHOES = {
    "1 + 1": "2\n",
    "x = 5": "",
    "x = 5\nx": "5\n",
    "None": "",
    "1 + 1;": "",
    "print('a')\n'b'": "a\n'b'\n",
    "import sys\nprint('out')\nprint('err', file=sys.stderr)": "out\nerr\n",
    "import os\nos.write(1, b'low\\n')\nprint('high')": "low\nhigh\n",
    "import subprocess\nsubprocess.run(['echo', 'other']);": "other\n",
    "import asyncio\nawait asyncio.sleep(0)\n'awaited'": "'awaited'\n",
    "def f():\n    return 3\nf()": "3\n",
    "": "",
    "# nothing": "",
    "print('no newline', end='')": "no newline",
    "'\\udcff'": "'\\udcff'\n",
    "print('\\udcff ü')": "\\udcff ü\n",
}


async def test_output_is_what_a_notebook_shows(session):
    for code, text in ECHOES.items():
        found, end = await said(session, code)
        assert (found, end.error) == (text, None), code


async def test_variables_stay_between_calls(session):
    await said(session, "kept = [1]")
    await said(session, "kept.append(2)")
    assert (await said(session, "kept"))[0] == "[1, 2]\n"


async def test_a_kernel_is_ready_before_it_has_loaded_what_few_programs_need(session):
    assert (await said(session, "import sys; 'asyncio' in sys.modules"))[0] == "False\n"
    assert (await said(session, "await asyncio.sleep(0)"))[1].error.startswith("NameError")


async def test_an_error_shows_its_line_and_none_of_ours(session):
    text, end = await said(session, "def f():\n    return 1 / 0\nf()")
    assert end.error == "ZeroDivisionError: division by zero"
    assert "return 1 / 0" in text
    assert "kernel.py" not in text
    assert (await said(session, "1"))[1].error is None


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("1 +", "SyntaxError"),
        ("exit()", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("input()", "EOFError"),
        ("class E(Exception):\n    def __str__(self): return 1/0\nraise E", "E: <exception str"),
    ],
)
async def test_an_error_ends_the_call_only(session, code, error):
    _, end = await said(session, code)
    assert error in end.error
    assert (await said(session, "'alive'"))[0] == "'alive'\n"


async def test_text_comes_while_the_call_runs(session):
    events = session.run("import time\nprint('first')\ntime.sleep(60)")
    async with asyncio.timeout(20), contextlib.aclosing(events):
        assert await anext(events) == Logs("first\n")


async def test_an_interrupt_stops_the_call_and_keeps_the_variables(session):
    await said(session, "kept = 1")
    events = session.run("import time\nprint('on')\ntime.sleep(60)")
    async with asyncio.timeout(20):
        assert await anext(events) == Logs("on\n")
        session.interrupt()
        rest = [event async for event in events]
    assert rest[-1].error == "KeyboardInterrupt"
    assert await said(session, "kept") == ("1\n", Ended(None))
    assert session.starts == 1


async def test_a_call_that_is_left_ends_its_life(session):
    await said(session, "kept = 1")
    events = session.run("import time\nprint('on')\ntime.sleep(60)")
    await anext(events)
    await events.aclose()
    text, _ = await said(session, "'kept' in globals()")
    assert text.endswith("False\n")
    assert session.starts == 2


async def test_calls_of_a_session_wait_for_each_other(session):
    first, second = await asyncio.gather(
        said(session, "import time; time.sleep(0.1); 'a'"), said(session, "'b'")
    )
    assert (first[0], second[0]) == ("'a'\n", "'b'\n")


async def test_figures_are_pictures_in_their_place(session):
    pytest.importorskip("matplotlib", reason="the extra `interpreter` is not installed")
    code = """
import matplotlib.pyplot as plt
print('before')
plt.plot([1, 2])
plt.show()
print('after')
"""
    events = [event async for event in session.run(code)]
    assert [type(event) for event in events] == [Logs, Picture, Logs, Ended]
    assert events[1].png.startswith(b"\x89PNG")
    await said(session, "plt.plot([3])")
    forgotten = [event async for event in session.run("plt.bar([1], [2]);")]
    assert [type(event) for event in forgotten] == [Picture, Ended]


async def test_a_saved_figure_is_a_file_and_a_table_is_text(session):
    pytest.importorskip("pandas", reason="the extra `interpreter` is not installed")
    await session.put("in.csv", b"a,b\n1,2\n")
    code = """
import pandas
table = pandas.read_csv('/mnt/data/in.csv')
table.to_excel('/mnt/data/out.xlsx')
table
"""
    text, end = await said(session, code)
    assert text == "   a  b\n0  1  2\n"
    assert [output.name for output in end.files] == ["out.xlsx"]


async def test_an_image_is_a_picture(session):
    code = "from PIL import Image\nImage.new('RGB', (2, 2))"
    events = [event async for event in session.run(code)]
    assert [type(event) for event in events] == [Picture, Ended]


async def test_files_are_put_from_bytes_paths_and_streams(session, tmp_path):
    async def blocks():
        yield b"x" * 3
        yield b"y"

    (tmp_path / "source").write_bytes(b"from disk")
    await session.put("a", b"bytes")
    await session.put("b", tmp_path / "source")
    await session.put("c", blocks())
    text, end = await said(session, "[open(f'/mnt/data/{name}').read() for name in 'abc']")
    assert (text, end.files) == ("['bytes', 'from disk', 'xxxy']\n", ())
    await session.put("a", b"newer")
    assert (await said(session, "open('/mnt/data/a').read()"))[0] == "'newer'\n"


async def test_a_stream_that_fails_leaves_no_file(session):
    async def broken():
        yield b"half"
        raise OSError(5, "the store is gone")

    with pytest.raises(SandboxFileError, match="the store is gone"):
        await session.put("half", broken())
    assert (await said(session, "import os; os.listdir('/mnt/data')"))[0] == "[]\n"


async def test_files_of_a_closed_session_are_gone(session):
    await said(session, "open('/mnt/data/x', 'w').write('1')")
    with session.open("x") as file:
        assert file.read() == b"1"
    await session.close()
    with pytest.raises(SandboxFileError):
        session.open("x")


async def test_a_key_has_one_session_however_often_the_pool_is_opened(pool):
    sandboxes = await pool()
    sandboxes.open()
    first = await sandboxes.session("a")
    assert await sandboxes.session("a") is first
    assert await sandboxes.session("b") is not first


async def test_the_session_that_was_used_longest_ago_makes_room(pool):
    sandboxes = await pool(sessions=2)
    for key in "ab":
        await said(await sandboxes.session(key), f"name = {key!r}")
    await said(await sandboxes.session("a"), "1")
    await said(await sandboxes.session("c"), "1")
    assert (await said(await sandboxes.session("a"), "name"))[0] == "'a'\n"
    assert "NameError" in (await said(await sandboxes.session("b"), "name"))[1].error


async def test_no_session_is_taken_from_a_call_that_runs(pool):
    sandboxes = await pool(sessions=1)
    events = (await sandboxes.session("a")).run("import time\nprint('on')\ntime.sleep(60)")
    await anext(events)
    with pytest.raises(SandboxBusyError, match="1 sessions"):
        await sandboxes.session("b")
    await events.aclose()


async def test_limits_hold_in_a_pool_that_keeps_nothing_warm():
    sandboxes = Sandboxes(InterpreterSettings(wall_s=0.2))
    try:
        _, end = await said(await sandboxes.session("a"), "import time; time.sleep(60)")
        assert end.error == "The session was ended: a call took longer than 0.2 s."
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    finally:
        await sandboxes.close()


async def test_an_unused_session_ends(pool):
    sandboxes = await pool(idle_s=0.1)
    session = await sandboxes.session("a")
    await said(session, "1")
    pids = session.life.jailed.family()
    async with asyncio.timeout(10):
        while any(os.path.exists(f"/proc/{pid}") for pid in pids):
            await asyncio.sleep(0.05)
    assert await sandboxes.session("a") is not session


async def test_closing_ends_a_running_call_with_an_error(pool):
    sandboxes = await pool()
    session = await sandboxes.session("a")
    events = session.run("import time\nprint('on')\ntime.sleep(60)")
    await anext(events)
    await sandboxes.close()
    rest = [event async for event in events]
    assert rest[-1].error == "The session was ended: it was closed."


async def test_where_no_jail_works_the_reason_is_told(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    sandboxes = Sandboxes(InterpreterSettings(jail="bubblewrap"))
    with pytest.raises(SandboxUnavailableError, match="bwrap is not installed"):
        await sandboxes.jail()
    with pytest.raises(SandboxError):
        await said(await sandboxes.session("a"), "1")
    await sandboxes.close()


async def test_files_of_the_server_are_not_seen_where_the_rest_is_shown(tmp_path, monkeypatch):
    for name in ("shown", "state/secret", "freehold.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    tmp_path.chmod(0o755)
    monkeypatch.setattr("freehold.sandbox.jail._CONFIGURATION", (str(tmp_path),))
    server_files = [tmp_path / "state", tmp_path / "freehold.toml"]
    sandboxes = Sandboxes(InterpreterSettings(jail="bubblewrap"), server_files)
    try:
        code = f"""
import os, pathlib
here = pathlib.Path({str(tmp_path)!r})
print((here / 'shown').read_text(), os.listdir(here / 'state'))
(here / 'freehold.toml').read_text()
"""
        text, end = await said(await sandboxes.session("a"), code)
        assert text.startswith("shown []\n")
        assert end.error.startswith("PermissionError")
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    finally:
        await sandboxes.close()


async def test_a_server_s_state_and_settings_are_not_seen_wherever_they_lie(tmp_path, monkeypatch):
    state, config_file = tmp_path / "state", tmp_path / "freehold.toml"
    config_file.write_text("database_url = 'sqlite://'")
    tmp_path.chmod(0o755)
    monkeypatch.setattr("freehold.sandbox.jail._CONFIGURATION", (str(tmp_path),))
    interpreter = InterpreterSettings(jail="bubblewrap")
    server = app.build(Settings(state_dir=state, interpreter=interpreter), config_file)
    (state / "kept").write_text("kept")
    code = f"""
import os
print(os.listdir({str(state)!r}))
open({str(config_file)!r}).read()
"""
    try:
        session = await server.api.services.sandboxes.session("a")
        text, end = await said(session, code)
        assert text.startswith("[]\n")
        assert end.error.startswith("PermissionError")
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    finally:
        await server.stop()


async def test_landlock_refuses_where_a_secret_would_be_seen(tmp_path, monkeypatch):
    monkeypatch.setattr("freehold.sandbox.jail._CONFIGURATION", (str(tmp_path),))
    sandboxes = Sandboxes(InterpreterSettings(jail="landlock"), [tmp_path])
    with pytest.raises(SandboxUnavailableError, match="move it elsewhere"):
        await sandboxes.jail()
    await sandboxes.close()
