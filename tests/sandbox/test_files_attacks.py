"""Files of a session: what is read is a regular file of its own, or nothing."""

import pytest

pytestmark = pytest.mark.usefixtures("bystander")


async def test_a_file_goes_in_and_a_changed_one_comes_out(prison):
    await prison.put("files", "in.csv", b"a,b\n1,2\n")
    code = "text = open('/mnt/data/in.csv').read(); open('/mnt/data/out.csv', 'w').write(text * 2)"
    result = await prison.run("files", code)
    assert (result["error"], result["files"]) == (None, {"out.csv": 16})
    assert (await prison.run("files", "1"))["files"] == {}
    changed = await prison.run("files", "open('/mnt/data/in.csv', 'a').write('3')")
    assert changed["files"] == {"in.csv": 9}
    assert (await prison.ask("open", key="files", name="out.csv"))["size"] == 16


async def test_outputs_in_folders_are_named_by_their_path(prison):
    code = "import os; os.makedirs('/mnt/data/a/b'); open('/mnt/data/a/b/c.txt', 'w').write('x')"
    result = await prison.run("folders", code)
    assert result["files"] == {"a/b/c.txt": 1}
    assert (await prison.ask("open", key="folders", name="a/b/c.txt"))["size"] == 1


TRAPS = {
    "a link to a secret": "os.symlink('/etc/shadow', '/mnt/data/report.csv')",
    "a link to itself": "os.symlink('report.csv', '/mnt/data/report.csv')",
    "a link to a process": "os.symlink('/proc/self/environ', '/mnt/data/report.csv')",
    "a pipe": "os.mkfifo('/mnt/data/report.csv')",
    "a socket": "socket.socketpair() and os.mknod('/mnt/data/report.csv', 0o140666)",
    "a folder": "os.mkdir('/mnt/data/report.csv')",
    "nothing": "None",
}


@pytest.mark.parametrize("name", TRAPS)
async def test_what_is_no_regular_file_is_no_output(prison, name):
    await prison.run("trap", "import os, socket; path = '/mnt/data/report.csv'")
    result = await prison.run("trap", TRAPS[name])
    assert result["files"] == {}
    refused = (await prison.ask("open", key="trap", name="report.csv"))["refused"]
    assert "can't be read" in refused
    remove = "if os.path.lexists(path): (os.rmdir if os.path.isdir(path) else os.unlink)(path)"
    assert (await prison.run("trap", remove))["error"] is None


async def test_a_linked_folder_is_not_entered(prison):
    code = "import os; os.symlink('/etc', '/mnt/data/etc'); os.symlink('..', '/mnt/data/up')"
    assert (await prison.run("linked", code))["files"] == {}
    for name in ("etc/passwd", "up/data/x", "../x", "/etc/passwd", "", ".", "a//b", "x\0y"):
        assert "refused" in await prison.ask("open", key="linked", name=name)


async def test_a_file_that_turns_into_a_link_is_not_followed(prison):
    await prison.run("turning", "open('/mnt/data/x.csv', 'w').write('ok')")
    code = "import os; os.unlink('/mnt/data/x.csv'); os.symlink('/etc/passwd', '/mnt/data/x.csv')"
    await prison.run("turning", code)
    assert "refused" in await prison.ask("open", key="turning", name="x.csv")


async def test_a_lease_does_not_hold_the_reader_up(prison):
    code = """
import fcntl, os, signal
signal.signal(signal.SIGIO, signal.SIG_IGN)
held = os.open('/mnt/data/leased.csv', os.O_RDWR | os.O_CREAT)
os.write(held, b'x')
try:
    fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
except OSError as error:
    print(error)
"""
    await prison.run("leased", code)
    answer = await prison.ask("open", key="leased", name="leased.csv")
    assert "refused" in answer or answer["size"] == 1


async def test_sparse_files_are_no_larger_than_a_disk(prison):
    code = """
for number in range(20):
    with open(f'/mnt/data/{number}.zip', 'wb') as file:
        file.truncate(3 << 20)
try:
    open('/mnt/data/huge', 'wb').truncate(1 << 40)
except OSError as error:
    print(error.errno)
"""
    result = await prison.run("sparse", code)
    assert sum(result["files"].values()) <= 4 << 20
    assert result["text"] == "27\n" or "XFSZ" in str(result)


async def test_odd_names_do_no_harm(prison):
    code = """
import os
names = b'a' * 255, b'\\xff\\xfe', b'new\\nline', b'-rf', b'\\xe2\\x80\\xaecsv.exe', b'.hidden'
for name in names:
    with open(os.path.join(os.getcwdb(), name), 'w') as file:
        file.write('x')
try:
    open('/mnt/data/' + 'b' * 256, 'w')
except OSError as error:
    print(error.errno)
"""
    result = await prison.run("odd", code)
    assert result["text"] == "36\n"
    assert set(result["files"]) == {"a" * 255, "new\nline", "-rf", "\u202ecsv.exe"}


async def test_deep_folders_are_left_alone_and_removed(prison):
    code = """
import os
for number in range(400):
    os.mkdir('d')
    os.chdir('d')
open('deep.txt', 'w').write('x')
os.chdir('/mnt/data') if os.path.isdir('/mnt/data') else None
"""
    result = await prison.run("deep", code)
    assert (result["error"], result["files"]) == (None, {})
    await prison.ask("end", key="deep")
    assert (await prison.run("deep", "import os; len(os.listdir('/mnt/data'))"))["text"] == "0\n"


async def test_two_sessions_share_nothing(prison):
    places = "/mnt/data", "/tmp", "/dev/shm", "/var/tmp"
    leave = f"""
import os, tempfile
for place in {places!r}:
    try:
        open(place + '/left', 'w').write('for you')
    except OSError:
        continue
open(tempfile.gettempdir() + '/left', 'w').write('for you')
"""
    look = f"""
import os, tempfile
found = [p for p in (*{places!r}, tempfile.gettempdir()) if os.path.exists(p + '/left')]
print(found, 'leave' in globals())
"""
    assert (await prison.run("first", leave))["error"] is None
    assert (await prison.run("second", look))["text"] == "[] False\n"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "", ".", "..", "x" * 256, "x\0y"])
async def test_only_plain_names_are_put(prison, name):
    assert "refused" in await prison.put("files", name, b"x")


async def test_a_file_that_does_not_fit_is_refused_and_leaves_nothing(prison):
    if "landlock" in prison.told["jail"]:
        pytest.skip("on the disk of the machine there is room; the session ends at its next look")
    answer = await prison.put("small", "large.bin", bytes(5 << 20))
    assert "No space left" in answer["refused"]
    assert (await prison.run("small", "import os; os.listdir('/mnt/data')"))["text"] == "[]\n"
