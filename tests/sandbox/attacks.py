"""Attacks, run inside the jail: each returns what it got away with, which must be nothing.

This file is sent to a session as it is; ``told`` are facts about the host to aim at.
"""

import contextlib
import ctypes
import errno
import fcntl
import glob
import mmap
import os
import pathlib
import resource
import signal
import socket
import struct
import subprocess
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)


def tried(attempts):
    """Return the names of the attempts that raised nothing and returned something."""
    found = []
    for name, attempt in attempts.items():
        with contextlib.suppress(Exception):
            if attempt():
                found.append(name)
    return found


def call(number, *arguments):
    """Make a system call; return whether the kernel did it."""
    return LIBC.syscall(number, *arguments) >= 0


def read(path):
    return pathlib.Path(path).read_bytes()


def write(path, text="x"):
    return pathlib.Path(path).write_text(text) or True


def network(told):
    def connect(family, kind, address):
        with socket.socket(family, kind) as plug:
            plug.settimeout(2)
            plug.connect(address)
            return True

    return tried(
        {
            "tcp": lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", told["port"])),
            "tcp6": lambda: connect(socket.AF_INET6, socket.SOCK_STREAM, ("::1", told["port"])),
            "udp": lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, ("8.8.8.8", 53)),
            "raw": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
            "packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
            "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0),
            "crypto": lambda: socket.socket(38, socket.SOCK_SEQPACKET),
            "vsock": lambda: socket.socket(40, socket.SOCK_STREAM),
            "name": lambda: socket.gethostbyname("example.com"),
        }
    )


def unix_sockets(told):
    def connect(address):
        with socket.socket(socket.AF_UNIX) as plug:
            plug.connect(address)
            return True

    return tried(
        {"abstract": lambda: connect(told["abstract"]), "path": lambda: connect(told["socket"])}
    )


def host_files(told):
    paths = [
        told["secret"], told["state"], told["socket"], "/etc/shadow", "/etc/passwd",
        "/etc/hostname", "/root/.bashrc", "/home", "/var/log", "/sys/kernel", "/run",
        "/var/run/docker.sock", "/etc/ssh",
    ]  # fmt: skip
    found = [path for path in paths if tried({path: lambda path=path: read(path)})]
    return found + [path for path in paths if tried({path: lambda path=path: os.listdir(path)})]


def writing_on_the_host(told):
    paths = [
        "/x", "/usr/x", "/etc/x", "/opt/x", "/opt/inside/kernel.py", "/dev/x", "/proc/x", "/mnt/x",
        f"{sys.prefix}/x", f"{os.path.dirname(os.__file__)}/os.py", f"{told['state']}/x",
    ]  # fmt: skip
    return [path for path in paths if tried({path: lambda path=path: write(path)})]


def environment(told):
    seen = "\0".join(f"{name}={value}" for name, value in os.environ.items()).encode()
    for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/task/*/environ"):
        with contextlib.suppress(OSError):
            seen += read(path)
    words = (told["word"], "SECRET", "FREEHOLD", "API_KEY")
    return [word for word in words if word.encode() in seen]


def other_processes(told):
    """Look for anything of the host in /proc."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if told["mark"].encode() in read(path):
                found.append(path)
    if not glob.glob("/proc/[0-9]*"):
        return found
    return found + tried(
        {"root of 1": lambda: os.listdir("/proc/1/root/root"), "fds of 1": lambda: _fds(1)}
    )


def _fds(pid):
    return [link for link in os.listdir(f"/proc/{pid}/fd") if int(link) > 2]


def kernel_files(_told):
    paths = [
        "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger",
        "/proc/sys/vm/drop_caches", "/proc/sys/kernel/modprobe", "/proc/1/mem", "/proc/kcore",
        "/proc/sys/user/max_user_namespaces", "/sys/fs/cgroup/cgroup.procs", "/proc/1/uid_map",
    ]  # fmt: skip
    opened = {path: lambda path=path: os.open(path, os.O_WRONLY) for path in paths}
    return tried(opened) + tried(
        {path: lambda path=path: os.open(path, os.O_RDONLY) for path in ("/proc/kcore", "/dev/mem")}
    )


def devices(_told):
    devices = ["/dev/kmsg", "/dev/mem", "/dev/vda", "/dev/sda", "/dev/tty", "/dev/ptmx", "/dev/kvm"]
    devices += ["/dev/fuse", "/dev/net/tun", "/dev/userfaultfd", "/dev/loop-control"]
    opened = {name: lambda name=name: os.open(name, os.O_RDWR) for name in devices}
    made = {
        "block": lambda: os.mknod("/mnt/data/b", 0o60666, os.makedev(254, 0)) is None,
        "char": lambda: os.mknod("/mnt/data/c", 0o20666, os.makedev(1, 1)) is None,
    }
    return tried(opened) + tried(made)


def refused_calls(told):
    """Make each call that the filter refuses; return those that it let through."""
    found = []
    for name, number in told["calls"].items():
        LIBC.syscall(number, 0, 0, 0, 0, 0, 0)
        if ctypes.get_errno() != errno.EPERM:
            found.append(name)
    return found


def later_calls(_told):
    """Make calls that newer kernels may have, and those of another architecture."""
    LIBC.syscall(1000, 0, 0, 0)
    return [] if ctypes.get_errno() == errno.ENOSYS else ["1000"]


def namespaces(told):
    flags = (0x10000000, 0x20000000, 0x40000000, 0x00020000, 0x08000000)
    found = [hex(flag) for flag in flags if call(told["clone"], flag | 17, 0, 0, 0, 0)]
    found += tried(
        {
            "clone3": lambda: call(435, struct.pack("11Q", 0x10000000, *[0] * 10), 88),
            "chroot": lambda: os.chroot("/mnt/data") is None,
            "unshare": lambda: LIBC.unshare(0x10000000) == 0,
            "mount": lambda: LIBC.mount(b"none", b"/mnt/data", b"tmpfs", 0, None) == 0,
            "umount": lambda: LIBC.umount2(b"/proc", 2) == 0,
        }
    )
    return found


def becoming_somebody(_told):
    status = ""
    with contextlib.suppress(OSError):  # Landlock leaves no /proc
        status = read("/proc/self/status").decode()
    wrong = [
        line
        for line in status.splitlines()
        if line.startswith(("CapPrm", "CapEff", "CapInh", "CapAmb")) and int(line.split()[1], 16)
    ]
    wrong += [line for line in status.splitlines() if line == "NoNewPrivs:\t0"]
    suid = [path for path in ("/bin/su", "/usr/bin/passwd", "/bin/mount") if os.path.exists(path)]

    def becomes_root(path):
        with subprocess.Popen(
            [path, "--help"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as child:
            return os.stat(f"/proc/{child.pid}").st_uid == 0 != os.stat("/proc/self").st_uid

    def owns():
        os.chown("/usr/bin/env", os.getuid(), -1)
        return os.stat("/usr/bin/env").st_uid == os.getuid()

    ran = {path: lambda path=path: becomes_root(path) for path in suid}
    return (
        wrong
        + tried(ran)
        + tried(
            {
                "uid": lambda: os.setuid(0) is None,
                "gid": lambda: os.setgid(0) is None,
                "groups": lambda: os.setgroups([0]) is None,
                "root already": lambda: os.getuid() == 0 or os.geteuid() == 0,
                "owning": owns,
            }
        )
    )


def memory_of_others(told):
    """Trace, read and write the memory of the parent, the first process and the server."""
    found = []
    for pid in (os.getppid(), 1, told["pid"]):
        for request in (16, 0x4206):  # attach, seize
            if call(told["calls"]["ptrace"], request, pid, 0, 0):
                found.append(f"ptrace {request:#x} {pid}")
        buffer = ctypes.create_string_buffer(8)
        there = struct.pack("QQ", ctypes.addressof(buffer), 8)
        for name in ("process_vm_readv", "process_vm_writev"):
            if call(told["calls"][name], pid, there, 1, there, 1, 0):
                found.append(f"{name} {pid}")
        found += tried({f"mem {pid}": lambda pid=pid: os.open(f"/proc/{pid}/mem", os.O_RDWR)})
    return found


def signals(told):
    """Signal everybody that can be reached, but ourselves."""
    found = tried({"server": lambda: told["pid"] != os.getpid() and _alive(told)})
    for pid in (told["pid"], os.getppid(), 1):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)  # the server and the other session must survive it
    return found


def _alive(told):
    """Whether the server's own number means the server in here."""
    return told["mark"].encode() in read(f"/proc/{told['pid']}/cmdline")


def rights_of_resources(_told):
    """Raise our own limits and priority."""
    found = []
    for name in ("AS", "DATA", "FSIZE", "NPROC", "NOFILE", "CORE", "MEMLOCK"):
        what = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(what)
        more = (hard + 1, hard + 1)
        raised = {name: lambda what=what, more=more: resource.setrlimit(what, more) is None}
        found += tried(raised)
        if hard == resource.RLIM_INFINITY:
            found.append(f"{name} is not limited")
    return found + tried(
        {
            "nice": lambda: os.nice(-5) is not None,
            "real time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)) is None,
            "oom": lambda: write("/proc/self/oom_score_adj", "-1000"),
        }
    )


def kernel_tools(told):
    calls = told["calls"]
    return tried(
        {
            "keyring": lambda: call(calls["keyctl"], 0, -3, 1),
            "key": lambda: call(calls["add_key"], b"user", b"x", b"y", 1, -3),
            "bpf": lambda: call(calls["bpf"], 0, bytes(128), 128),
            "perf": lambda: call(calls["perf_event_open"], bytes(128), 0, -1, -1, 0),
            "uring": lambda: call(calls["io_uring_setup"], 1, bytes(128)),
            "fault": lambda: call(calls["userfaultfd"], 1),
            "handle": lambda: call(calls["open_by_handle_at"], -100, bytes(64), 0),
            "module": lambda: call(calls["init_module"], b"", 0, b""),
            "clock": lambda: time.clock_settime(time.CLOCK_REALTIME, 0) is None,
            "name": lambda: socket.sethostname("x") is None,
            "personality": lambda: LIBC.personality(0x0040000) != -1,
        }
    )


def terminals(_told):
    """Push characters into a terminal's input."""
    found = []
    for descriptor in range(3):
        for request in (0x5412, 0x541C):
            with contextlib.suppress(OSError):
                fcntl.ioctl(descriptor, request, b"x")
                found.append((descriptor, request))
    return found + tried({"tty": lambda: os.ttyname(0), "pts": lambda: os.listdir("/dev/pts")})


def inherited(_told):
    """Find descriptors that are not ours: only the three and the channel are."""
    return [number for number in range(256) if tried({number: lambda n=number: os.fstat(n)})][4:]


def hidden_memory(told):
    """Take memory that no count of a process shows."""
    return tried(
        {
            "memfd": lambda: os.memfd_create("x") is not None,
            "secret": lambda: call(told["calls"]["memfd_secret"], 0),
            "shm": lambda: call(told["calls"]["shmget"], 0, 1 << 20, 0o1600),
            "queue": lambda: call(told["calls"]["msgget"], 0, 0o1600),
            "locked": lambda: LIBC.mlock(mmap.mmap(-1, 1 << 22), 1 << 22) == 0,
            "huge": lambda: mmap.mmap(-1, 1 << 21, flags=0x40022),
        }
    )


def disk_fill(_told):
    """Write wherever it works; return places that took more than 80 MB."""
    found = []
    block = bytes(1 << 20)
    for folder in ("/mnt/data", "/tmp", "/dev/shm", "/dev", "/", "/var/tmp", "/run"):
        written = 0
        names = [f"{folder}/fill{number}" for number in range(12)]
        for name in names:
            with contextlib.suppress(OSError), open(name, "wb", buffering=0) as file:
                while written <= 80 << 20 and (taken := file.write(block)):
                    written += taken
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(name)
        if written > 80 << 20:
            found.append(folder)
    return found
