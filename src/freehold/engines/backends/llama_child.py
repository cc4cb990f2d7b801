"""The program of the child process: llama.cpp, and one thread per slot that talks to the parent.

Started by ``llama_process`` with its settings as JSON in the only argument. On a slot's socket the
parent writes a request as one line of JSON; the answer is the engine's own JSON, one line per
token or so, then an empty line. An empty line from the parent means: stop. The first empty line
of each slot says that the model is loaded. Where nobody reads an answer before its end, the request
has ``LATE`` in front, and lines are sent in groups.

The process lives as long as the life line: a pipe whose other end only the parent holds.
"""

import fcntl
import json
import os
import select
import socket
import sys
import threading
from typing import Any

# Before the library loads: threads that spin while they wait starve each other on few cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import xllamacpp  # pyright: ignore[reportMissingTypeStubs] - it has none

from freehold.engines.backends.llama_native import SeeingServer, Server

LATE = b"~"
_LINES_HELD = 32
_READ_SIZE = 1 << 16
_library: Any = xllamacpp


def main() -> None:
    # Ctrl-C is for the server, which then ends this process in its own time. Not a session of its
    # own: schedulers that share by session would favour it over the server that waits for it.
    os.setpgid(0, 0)
    settings = json.loads(sys.argv[1])
    _die_with_parent(settings["life_line"])
    try:
        server: Server = _library.Server(_parameters(settings))
    except (RuntimeError, TypeError, ValueError) as error:
        sys.stderr.write(f"E {error}\n")
        sys.stderr.flush()
        os._exit(3)
    if settings["sees"]:
        server = SeeingServer(server, settings["control"])
    slots = [socket.socket(fileno=fd) for fd in settings["slots"]]
    for slot in slots:
        threading.Thread(target=_serve, args=(server, slot), daemon=True).start()
    os.read(settings["life_line"], 1)
    os._exit(0)


def _die_with_parent(life_line: int) -> None:
    """Have the kernel end this process when the parent is gone, even while the library loads."""
    fcntl.fcntl(life_line, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(life_line, fcntl.F_GETFL)
    fcntl.fcntl(life_line, fcntl.F_SETFL, flags | os.O_ASYNC)


def _parameters(settings: dict[str, Any]) -> Any:
    parameters = _library.CommonParams()
    parameters.model.path = settings["weights"]
    parameters.model_alias = {"m"}
    parameters.hostnames = [settings["control"]]
    parameters.n_parallel = len(settings["slots"])
    parameters.n_ctx = settings["context"]
    parameters.kv_unified = True
    parameters.cache_ram_mib = 0
    parameters.cache_idle_slots = False
    parameters.cpuparams.n_threads = settings["threads"]
    parameters.cpuparams_batch.n_threads = settings["threads"]
    parameters.n_threads_http = 2
    if settings["sees"]:
        _prepare_to_see(parameters)
    parameters.endpoint_slots = True
    parameters.ui = False
    parameters.warmup = False
    parameters.special = False
    parameters.verbosity = 1
    for name, value in settings["options"].items():
        _set(parameters, name, value)
    if parameters.speculative.draft.mparams.path:
        kinds = _library.common_speculative_type
        parameters.speculative.types = [kinds.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE]
    return parameters


def _prepare_to_see(parameters: Any) -> None:
    """Let the library's own server answer too, and count what a message of parts takes."""
    parameters.n_threads_http += parameters.n_parallel
    parameters.use_jinja = True
    parameters.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    # What is no picture must not be tried as a film, with a program that happens to lie around.
    parameters.video_ffmpeg_bin_dir = os.devnull


def _set(parameters: Any, name: str, value: Any) -> None:
    """Set a field, which may be one of a field: ``speculative.draft.n_max``."""
    *path, last = name.split(".")
    for part in path:
        parameters = getattr(parameters, part)
    if not hasattr(parameters, last):
        raise ValueError(f"llama.cpp has no option {name}")
    if name == "lora_adapters":
        value = [_library.CommonAdapterLoraInfo(file, scale) for file, scale in value]
    setattr(parameters, last, value)


def _serve(server: Server, slot: socket.socket) -> None:
    """Answer one request after another until the parent closes the socket."""
    slot.sendall(b"\n")
    while request := _read_request(slot):
        line, stopped = request
        if not stopped:
            _answer(server, slot, line)
        slot.sendall(b"\n")


def _read_request(slot: socket.socket) -> tuple[bytes, bool] | None:
    """Return the next request and whether it has been stopped already; None at the end."""
    chunks: list[bytes] = []  # joined once: a request with pictures has many
    while data := slot.recv(_READ_SIZE):
        # Empty lines in front stopped answers that had ended by themselves.
        chunk = data if chunks else data.lstrip(b"\n")
        if chunk:
            chunks.append(chunk)
        if b"\n" in chunk:
            line, _, rest = b"".join(chunks).partition(b"\n")
            return line, bool(rest)
    return None


def _answer(server: Server, slot: socket.socket, request: bytes) -> None:
    most = _LINES_HELD if request.startswith(LATE) else 1
    held: list[bytes] = []
    stop = select.poll()
    stop.register(slot, select.POLLIN)

    def on_data(data: bytes) -> bool:
        held.append(data)
        if len(held) >= most:
            _send(slot, held)
        return bool(stop.poll(0))

    try:
        server.handle_completions(request.removeprefix(LATE), on_data)
    except (RuntimeError, ValueError) as error:
        fault = {"error": {"code": 500, "message": str(error), "type": "server_error"}}
        held.append(json.dumps(fault).encode())
    _send(slot, held)


def _send(slot: socket.socket, lines: list[bytes]) -> None:
    if lines:
        slot.sendall(b"\n".join(lines) + b"\n")
        lines.clear()


if __name__ == "__main__":
    main()
