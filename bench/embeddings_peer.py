"""llama.cpp's own embedding server in this process: what Freehold is measured against.

Run: ``python bench/embeddings_peer.py minilm.gguf``. Prints its address as one line and serves
until its standard input ends.
"""

import argparse
import os
import sys
from pathlib import Path

from peer import (
    _library,  # pyright: ignore[reportPrivateUsage] - it sets the environment before it loads
    parameters,
)

# A batch holds a whole input; several inputs share it where they fit.
_BATCH_TOKENS = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    settings = parameters(parser.parse_args().weights, unified=True)
    settings.embedding = True
    settings.n_batch = settings.n_ubatch = _BATCH_TOKENS
    server = _library.Server(settings)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # the library's threads would keep the process


if __name__ == "__main__":
    main()
