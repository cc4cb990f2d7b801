"""Binds job handlers by name, as ``operation.py`` binds those of requests.

    @task("uploads.assemble")
    async def assemble(services: Services, job: JobContext) -> None: ...

Handlers are found in the ``tasks`` module of each group that has one.
"""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from types import ModuleType
from typing import cast

from freehold.api.context import Services
from freehold.jobs.job import Again, Handler, JobContext, OnFailure, Task

ServedHandler = Callable[[Services, JobContext], Awaitable[Again | None]]

_tasks: dict[str, tuple[ServedHandler, Task]] = {}


def task(
    kind: str,
    *,
    on_failure: OnFailure | None = None,
    max_attempts: int = 5,
    every_s: int | None = None,
) -> Callable[[ServedHandler], ServedHandler]:
    """Run the decorated handler for jobs of this kind; ``every_s`` makes it a periodic one."""

    def bind(handler: ServedHandler) -> ServedHandler:
        if kind in _tasks:
            raise ValueError(f"{kind} has two handlers")
        unserved = cast("Handler", handler)  # until ``bound`` gives it the services
        _tasks[kind] = handler, Task(unserved, on_failure, max_attempts, every_s)
        return handler

    return bind


def bound(groups: ModuleType, services: Services) -> Mapping[str, Task]:
    """Import every group's ``tasks`` and return the handlers by kind, with their services."""
    for group in pkgutil.iter_modules(groups.__path__):
        name = f"{groups.__name__}.{group.name}.tasks"
        if find_spec(name) is not None:
            importlib.import_module(name)
    return {
        kind: replace(task, handler=partial(handler, services))
        for kind, (handler, task) in _tasks.items()
    }
