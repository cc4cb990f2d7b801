"""Write the table of operations, built or not, into docs/coverage.md.

    python scripts/coverage.py [--check]

An operation counts as built where a ``routes.py`` (or ``..._routes.py``) binds a handler to it. One
that the page calls built must stay so: the list of those not built may only shrink.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from generated import DOCS, keep

from freehold.data import document
from freehold.data.document import Operation

RESOURCES = Path(__file__).parent.parent / "src" / "freehold" / "resources"
ROW = re.compile(r"^\| `([\w-]+)` \|.*\| yes \|$", re.MULTILINE)


def main(arguments: list[str]) -> None:
    """Write or check the page; exit 1 where an operation is no longer built."""
    built = set(built_operations())
    lost = set(ROW.findall((DOCS / "coverage.md").read_text(encoding="utf-8"))) - built
    if lost:
        sys.exit(f"no longer built: {', '.join(sorted(lost))}")
    keep("coverage.md", "coverage.py", page(built), arguments)


def built_operations() -> Iterator[str]:
    """Yield the id of every operation that a handler is bound to."""
    for routes in sorted(RESOURCES.glob("*/*routes.py")):
        for node in ast.walk(ast.parse(routes.read_text(encoding="utf-8"))):
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
                yield from bound(node.decorator_list)


def bound(decorators: list[ast.expr]) -> Iterator[str]:
    """Yield the ids in ``@operation("...")``."""
    for decorator in decorators:
        match decorator:
            case ast.Call(func=ast.Name(id="operation"), args=[ast.Constant(value=str(found))]):
                yield found
            case _:
                continue


def page(built: set[str]) -> str:
    """Return both tables: the operations of December 2024, and those added since."""
    first = [operation for operation in document.operations() if operation.built_surface]
    added = [operation for operation in document.operations() if not operation.built_surface]
    return "\n\n".join(
        [
            "## December 2024",
            counted(first, built),
            table(first, built),
            "## Added since",
            counted(added, built),
            table(added, built),
        ]
    )


def counted(operations: list[Operation], built: set[str]) -> str:
    """Return how many of the operations are built."""
    return f"{sum(one.id in built for one in operations)} of {len(operations)} are built."


def table(operations: list[Operation], built: set[str]) -> str:
    """Return a row for each operation."""
    rows = [
        f"| `{one.id}` | `{one.method} /v1{one.path}` | {'yes' if one.id in built else 'no'} |"
        for one in operations
    ]
    return "\n".join(["| Operation | Route | Built |", "| --- | --- | --- |", *rows])


if __name__ == "__main__":
    main(sys.argv[1:])
