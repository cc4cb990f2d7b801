"""llama.cpp's own HTTP server in this process: what Freehold is measured against.

Run: ``python bench/peer.py tiny.gguf``. Prints its address as one line and serves until its
standard input ends.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

# Before the library loads: threads that spin while they wait starve each other on few cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import xllamacpp  # pyright: ignore[reportMissingTypeStubs] - it has none

_library: Any = xllamacpp
SLOTS = 8
TOKENS_PER_SLOT = 512


def parameters(weights: Path, *, unified: bool) -> Any:
    """Return the library's settings, equal to those of Freehold's engine where both have them."""
    settings = _library.CommonParams()
    settings.model.path = str(weights)
    settings.model_alias = {"tiny"}
    settings.port = 0
    settings.n_parallel = SLOTS
    settings.n_ctx = SLOTS * TOKENS_PER_SLOT
    settings.kv_unified = unified
    settings.cache_ram_mib = 0
    settings.cache_idle_slots = False
    settings.cpuparams.n_threads = 1
    settings.cpuparams_batch.n_threads = 1
    # Each keep-alive connection holds a thread: with fewer, idle clients starve the others.
    settings.n_threads_http = 128
    settings.ui = False
    settings.warmup = False
    settings.verbosity = 1
    # What Freehold asks of the engine at temperature 0; the library's default chain costs more.
    settings.sampling.samplers = "top_k"
    settings.sampling.top_k = 1
    return settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--split", action="store_true", help="a cache per slot, not one for all")
    options = parser.parse_args()
    server = _library.Server(parameters(options.weights, unified=not options.split))
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # the library's threads would keep the process


if __name__ == "__main__":
    main()
