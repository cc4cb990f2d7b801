"""The system calls that no code in a jail may make, as a program for the kernel's filter."""

import errno
import platform
import struct
from typing import Final

from freehold.sandbox.events import SandboxUnavailableError

# By name: the number on x86_64 and on aarch64; None where that machine has no such call.
_REFUSED: Final[dict[str, tuple[int | None, int | None]]] = {
    # other processes' memory and handles
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    # file systems and namespaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "statmount": (457, 457), "listmount": (458, 458),
    "unshare": (272, 97), "setns": (308, 268), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "swapon": (167, 224), "swapoff": (168, 225),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "fanotify_init": (300, 262),
    "sysfs": (139, None), "ustat": (136, None), "_sysctl": (156, None),
    # the kernel's own tools
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "syslog": (103, 116),
    "acct": (163, 89), "reboot": (169, 142), "vhangup": (153, 58), "lookup_dcookie": (212, 18),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None),
    "uselib": (134, None), "create_module": (174, None), "nfsservctl": (180, 42),
    # memory that no count of a process shows
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194),
    "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
}  # fmt: skip
# What could reach the server's own files and processes where it is the same user.
_REFUSED_TO_KIN: Final[dict[str, tuple[int | None, int | None]]] = {
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434),
    "setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119), "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274), "migrate_pages": (256, 238), "move_pages": (279, 239),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "removexattr": (197, 14),
    "lremovexattr": (198, 15),
}  # fmt: skip
# These would only spoil files of the same user; programs take a refusal for a failure of theirs.
_IGNORED_FOR_KIN: Final[dict[str, tuple[int | None, int | None]]] = {
    "chmod": (90, None), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None),
}  # fmt: skip
_CLONE, _CLONE3 = (56, 220), (435, 435)
_SOCKET, _IOCTL, _PERSONALITY = (41, 198), (16, 29), (135, 92)
_PRLIMIT, _UTIMENSAT = (302, 261), (280, 88)
_NEWEST: Final = 461  # calls that came later are unknown to us, so they are not there
_NAMESPACES: Final = 0x7E020080
_AF_UNIX: Final = 1
_ASK: Final = 0xFFFFFFFF  # what a program sends to know its personality
_TERMINAL_INPUT: Final = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_ARCHITECTURES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32: Final = 0x40000000

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000

Numbers = tuple[int | None, int | None]


def numbers(machine: str | None = None) -> dict[str, int]:
    """Return the refused calls of a machine by name."""
    which, _ = _known(machine)
    rows = ((name, row[which]) for name, row in _REFUSED.items())
    return {name: number for name, number in rows if number is not None}


def program(*, kin: bool, machine: str | None = None) -> bytes:
    """Return the filter. ``kin``: the jail has no namespaces, and its code may be the same user.

    Raises ``SandboxUnavailableError`` for machines whose numbers are not known here.
    """
    which, code = _known(machine)
    return _Filter(which).head(code).refusals(kin=kin).end()


def _known(machine: str | None) -> tuple[int, int]:
    name = machine or platform.machine()
    if name not in _ARCHITECTURES:
        raise SandboxUnavailableError(f"The system calls of {name} are not known.")
    return _ARCHITECTURES[name]


class _Filter:
    """A program of the Berkeley packet filter, instruction by instruction."""

    def __init__(self, which: int) -> None:
        self._which = which
        self._code: list[bytes] = []

    def head(self, architecture: int) -> "_Filter":
        self._put(_LOAD, _ARCHITECTURE)
        self._put(_EQUAL, architecture, 1, 0)
        self._put(_RETURN, _KILL)
        self._put(_LOAD, _NUMBER)
        self._put(_AT_LEAST, _X32, 0, 1)
        self._put(_RETURN, _KILL)
        self._put(_AT_LEAST, _NEWEST + 1, 0, 1)
        self._put(_RETURN, _ERROR | errno.ENOSYS)
        return self

    def refusals(self, *, kin: bool) -> "_Filter":
        for numbers in (_REFUSED | (_REFUSED_TO_KIN if kin else {})).values():
            self._answer(numbers, errno.EPERM)
        for numbers in _IGNORED_FOR_KIN.values() if kin else ():
            self._answer(numbers, 0)
        self._answer(_CLONE3, errno.ENOSYS)  # its flags can't be seen; programs then use clone
        self._where(_CLONE, 0, (_ANY_BIT, _NAMESPACES, True), errno.EPERM)
        for request in _TERMINAL_INPUT:
            self._where(_IOCTL, 1, (_EQUAL, request, True), errno.EPERM)
        self._where(_PERSONALITY, 0, (_EQUAL, _ASK, False), errno.EPERM)
        if kin:  # without a namespace of its own the host's abstract sockets could be reached
            self._answer(_SOCKET, errno.EACCES)
            self._where(_PRLIMIT, 0, (_EQUAL, 0, False), errno.EPERM)
            self._where(_UTIMENSAT, 1, (_EQUAL, 0, False), 0)
        else:
            self._where(_SOCKET, 0, (_EQUAL, _AF_UNIX, False), errno.EACCES)
        return self

    def end(self) -> bytes:
        self._put(_RETURN, _ALLOW)
        return b"".join(self._code)

    def _answer(self, numbers: Numbers, error: int) -> None:
        if (number := numbers[self._which]) is not None:
            self._put(_EQUAL, number, 0, 1)
            self._put(_RETURN, _ERROR | error)

    def _where(
        self, numbers: Numbers, argument: int, test: tuple[int, int, bool], error: int
    ) -> None:
        """Answer with ``error`` where an argument's lower half passes, or fails, the test."""
        if (number := numbers[self._which]) is None:
            return
        kind, value, passes = test
        self._put(_EQUAL, number, 0, 4)
        self._put(_LOAD, _ARGUMENTS + 8 * argument)
        self._put(kind, value, 0 if passes else 1, 1 if passes else 0)
        self._put(_RETURN, _ERROR | error)
        self._put(_LOAD, _NUMBER)

    def _put(self, code: int, value: int, then: int = 0, otherwise: int = 0) -> None:
        self._code.append(struct.pack("=HBBI", code, then, otherwise, value))
