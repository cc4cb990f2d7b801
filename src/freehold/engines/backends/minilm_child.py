"""The program of the child process: one thread reads and tokenizes, another computes.

Started by ``minilm_process`` with its settings as JSON in the only argument. It ends when the
other end of its socket does.
"""

import importlib
import json
import os
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec

from freehold.engines.backends.minilm_batches import Batches, Job
from freehold.engines.backends.minilm_embedder import (
    Embedder,
    UnfitWeightsError,
    UnknownTokenError,
)
from freehold.engines.backends.minilm_messages import (
    LENGTH_BYTES,
    Cancel,
    Count,
    Counted,
    Embed,
    Question,
    Ready,
    Unfit,
    UnknownToken,
    Vectors,
    length,
    packed,
)

_QUESTION: Final = msgspec.msgpack.Decoder[Question](Question)


class Child:
    """A loaded model and the socket to who asks it."""

    def __init__(self, model: Embedder, connection: socket.socket) -> None:
        self._model = model
        self._connection = connection
        self._writing = threading.Lock()
        self._batches = Batches()
        self._jobs: dict[int, Job] = {}

    def serve(self) -> None:
        """Answer until the other end is gone."""
        threading.Thread(target=self._compute, daemon=True).start()
        self._send(Ready(self._model.dimensions, self._model.window))
        with self._connection.makefile("rb") as questions:
            while head := questions.read(LENGTH_BYTES):
                self._take(_QUESTION.decode(questions.read(length(head))))

    def _take(self, question: Question) -> None:
        if isinstance(question, Cancel):
            if job := self._jobs.pop(question.id, None):
                job.cancelled = True
            return
        try:
            self._begin(question)
        except UnknownTokenError as error:
            self._send(UnknownToken(question.id, error.index, error.token))

    def _begin(self, question: Embed | Count) -> None:
        if isinstance(question, Count):
            tokens = self._model.tokenize(question.inputs)
            self._send(Counted(question.id, [len(each) for each in tokens]))
            return
        job, windows = self._model.job(question.id, question.inputs)
        self._jobs[job.id] = job
        self._batches.add(windows)

    def _compute(self) -> NoReturn:
        try:
            while True:
                batch = self._batches.take()
                self._model.compute(batch)
                for job in {window.job for window in batch}:
                    if not job.left and not job.cancelled:
                        self._finish(job)
        finally:
            os._exit(4)  # without this thread nobody would ever be answered

    def _finish(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        self._send(Vectors(job.id, job.tokens, job.vectors().tobytes()))

    def _send(self, message: msgspec.Struct) -> None:
        with self._writing:
            self._connection.sendall(packed(message))


def _load(settings: Mapping[str, Any]) -> Embedder:
    """Load the model by the library it needs, and import no other. Raises ``UnfitWeightsError``."""
    module, _, name = settings["embedder"].partition(":")
    embedder = getattr(importlib.import_module(module), name)
    return embedder.load(Path(settings["weights"]), settings["threads"], settings["precision"])


def main() -> None:
    # Ctrl-C is for the server, which then ends this process in its own time.
    os.setpgid(0, 0)
    settings = json.loads(sys.argv[1])
    connection = socket.socket(fileno=settings["socket"])
    try:
        model = _load(settings)
    except UnfitWeightsError as error:
        connection.sendall(packed(Unfit(str(error))))
        return
    Child(model, connection).serve()
    os._exit(0)


if __name__ == "__main__":
    main()
