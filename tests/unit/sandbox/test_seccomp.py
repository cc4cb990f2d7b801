"""The filter of system calls, run by a small interpreter of its instructions."""

import errno
import struct

import pytest

from freehold.sandbox import seccomp
from freehold.sandbox.events import SandboxUnavailableError

ALLOWED, KILLED = 0x7FFF0000, 0x80000000
CODES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
SOCKET = {"x86_64": 41, "aarch64": 198}
CLONE = {"x86_64": 56, "aarch64": 220}
KILL = {"x86_64": 62, "aarch64": 129}
WRITE = {"x86_64": 1, "aarch64": 64}


def decide(program, number, *arguments, code):
    """Return what the filter says to a call."""
    data = struct.pack("=IIQ6Q", number, code, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = list(struct.iter_unpack("=HBBI", program))
    loaded = place = 0
    while True:
        kind, then, otherwise, value = steps[place]
        place += 1
        if kind == 0x20:
            loaded = struct.unpack_from("=I", data, value)[0]
        elif kind == 0x06:
            return value
        else:
            passes = {0x15: loaded == value, 0x35: loaded >= value, 0x45: loaded & value}[kind]
            place += then if passes else otherwise


def refused(answer):
    return answer & 0xFFFF if answer & 0xFFFF0000 == 0x00050000 else None


@pytest.fixture(params=[(machine, kin) for machine in CODES for kin in (False, True)], ids=str)
def ask(request):
    machine, kin = request.param
    program = seccomp.program(kin=kin, machine=machine)

    def say(number, *arguments, code=CODES[machine]):
        return decide(program, number, *arguments, code=code)

    say.machine, say.kin = machine, kin
    return say


def test_every_dangerous_call_is_refused_and_the_others_are_not(ask):
    numbers = seccomp.numbers(ask.machine)
    assert len(numbers) > 55
    assert {refused(ask(number)) for number in numbers.values()} == {errno.EPERM}
    assert ask(WRITE[ask.machine]) == ALLOWED


def test_another_architecture_s_calls_kill(ask):
    assert ask(WRITE[ask.machine], code=0x40000003) == KILLED
    assert ask(0x40000000 | 520) == KILLED


def test_calls_that_came_later_are_not_there(ask):
    assert refused(ask(462)) == errno.ENOSYS
    assert refused(ask(435)) == errno.ENOSYS


@pytest.mark.parametrize("flag", [0x10000000, 0x20000000, 0x40000000, 0x00020000, 0x02000000])
def test_no_process_is_made_with_namespaces(ask, flag):
    assert refused(ask(CLONE[ask.machine], flag | 17)) == errno.EPERM
    assert ask(CLONE[ask.machine], 17) == ALLOWED
    assert ask(CLONE[ask.machine], 0x003D0F00) == ALLOWED  # a thread


def test_only_local_sockets_are_made_and_none_without_a_network_of_one_s_own(ask):
    local, internet = (ask(SOCKET[ask.machine], family, 1) for family in (1, 2))
    assert refused(internet) == errno.EACCES
    assert refused(local) == (errno.EACCES if ask.kin else None)


def test_processes_are_signalled_only_where_no_others_are_seen(ask):
    assert refused(ask(KILL[ask.machine], 1, 9)) == (errno.EPERM if ask.kin else None)


def test_an_unknown_machine_is_refused():
    with pytest.raises(SandboxUnavailableError, match="riscv64"):
        seccomp.program(kin=False, machine="riscv64")
