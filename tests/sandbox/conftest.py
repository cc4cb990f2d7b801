"""The jails that are attacked: each by root and by an ordinary user, where this machine lets us."""

import json
import platform
from pathlib import Path

import pytest
import pytest_asyncio

from freehold.sandbox import seccomp
from sandbox import guard

ATTACKS = (Path(__file__).parent / "attacks.py").read_text()
GROUNDS = [
    ("bubblewrap", "root"),
    ("bubblewrap", "ordinary"),
    ("landlock", "root"),
    ("landlock", "ordinary"),
]


@pytest_asyncio.fixture(scope="session", params=GROUNDS, ids="-".join)
async def prison(request):
    """Return a running prison; one for all tests of a jail and a user."""
    jail, user = request.param
    if reason := guard.impossible(user):
        pytest.skip(reason)
    started = await guard.Guard.begin(jail, user)
    if reason := started.told.get("refused"):
        await started.close()
        pytest.skip(reason)
    yield started
    await started.close()


@pytest_asyncio.fixture
async def bystander(prison):
    """Hold a session that has nothing to do with the attack: it must live through it."""
    await prison.run("bystander", "if 'kept' not in globals(): kept = 42")
    before = await prison.run("bystander", "kept")
    yield
    after = await prison.run("bystander", "kept")
    assert (after["text"], after["error"]) == ("42\n", None)
    assert after["starts"] == before["starts"]


@pytest.fixture
def attack(prison, bystander):
    """Return a function that runs an attack and returns what it got away with."""

    async def run(name):
        clone = 56 if platform.machine() == "x86_64" else 220
        told = prison.told | {"calls": seccomp.numbers(), "clone": clone}
        await prison.run("attacker", f"if 'LIBC' not in globals(): exec({ATTACKS!r})")
        result = await prison.run(
            "attacker", f"import json; print(json.dumps({name}(json.loads({json.dumps(told)!r}))))"
        )
        assert result["error"] is None, result
        return json.loads(result["text"].splitlines()[-1])

    return run
