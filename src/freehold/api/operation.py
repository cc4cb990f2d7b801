"""Binds handlers to the API document by operation id: paths and methods are never typed by hand.

    @operation("retrieveModel")
    async def retrieve(context: Context, model: str) -> Model: ...

A handler takes ``context``, and as it needs them ``body`` and ``query`` (wire types), ``form`` (a
multipart body that is still arriving), ``headers`` and the path parameters by name. Routes are
found in the ``routes`` module of each group.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from freehold.data import document

Handler = Callable[..., Awaitable[Any]]
PREFIX = "/v1"


@dataclass(frozen=True, slots=True)
class Bound:
    """A handler and what its signature asks for."""

    operation_id: str
    handler: Handler
    body: type[BaseModel] | None
    query: type[BaseModel] | None = None
    form: bool = False
    headers: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """An operation of the document; ``bound`` is None where it is not built."""

    operation_id: str
    method: str
    path: str
    bound: Bound | None


_bound: dict[str, Bound] = {}


def operation(operation_id: str) -> Callable[[Handler], Handler]:
    """Bind the decorated handler to this operation of the document."""

    def bind(handler: Handler) -> Handler:
        if operation_id in _bound:
            raise ValueError(f"{operation_id} has two handlers")
        parameters = inspect.signature(handler, eval_str=True).parameters
        body, query = parameters.get("body"), parameters.get("query")
        _bound[operation_id] = Bound(
            operation_id=operation_id,
            handler=handler,
            body=body.annotation if body else None,
            query=query.annotation if query else None,
            form="form" in parameters,
            headers="headers" in parameters,
        )
        return handler

    return bind


def bound(operation_id: str) -> Bound | None:
    """Return the handler of an operation, None where it is not built."""
    return _bound.get(operation_id)


def discover(groups: ModuleType) -> dict[str, Bound]:
    """Import every group's ``routes`` and return the handlers by operation id."""
    for group in pkgutil.iter_modules(groups.__path__):
        importlib.import_module(f"{groups.__name__}.{group.name}.routes")
    unknown = set(_bound) - {known.id for known in document.operations()}
    if unknown:
        raise ValueError(f"not in the API document: {', '.join(sorted(unknown))}")
    return dict(_bound)


class Router:
    """Finds the operation of a method and path; ``groups`` is the package of all groups."""

    def __init__(self, groups: ModuleType) -> None:
        bound = discover(groups)
        self.routes = [
            Route(known.id, known.method, PREFIX + known.path, bound.get(known.id))
            for known in document.operations()
        ]
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, Route]]] = {}
        for route in self.routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        if "{" not in route.path:
            self._exact.setdefault(route.path, {})[route.method] = route
            return
        if route.path not in self._patterns:
            self._patterns[route.path] = (_pattern(route.path), {})
        self._patterns[route.path][1][route.method] = route

    def find(self, path: str) -> tuple[dict[str, Route], dict[str, str]] | None:
        """Return the routes of this path by method and the path's parameters, None if unknown."""
        exact = self._exact.get(path)
        if exact is not None:
            return exact, {}
        for pattern, routes in self._patterns.values():
            match = pattern.fullmatch(path)
            if match:
                return routes, match.groupdict()
        return None


def _pattern(path: str) -> re.Pattern[str]:
    """Turn ``/v1/models/{model}`` into a pattern; only a model's name may hold a slash."""

    def group(match: re.Match[str]) -> str:
        name = match.group(1)
        return f"(?P<{name}>.+)" if name == "model" else f"(?P<{name}>[^/]+)"

    return re.compile(re.sub(r"\{(\w+)\}", group, path))
