"""What keeps the house in order: operations, data files, sizes."""

import hashlib
import json
from importlib.resources import files
from pathlib import Path

from freehold import resources
from freehold.api.operation import Router
from freehold.data import document

SOURCE = Path(str(files("freehold")))
LONGEST_FILE = 500
DOCUMENT_SHA256 = "c03e52db2b955c49c12c04c39a678ef244517dd2375bc749f96dfd19db1e77df"


def test_every_operation_of_the_document_has_exactly_one_route():
    routes = [route.operation_id for route in Router(resources).routes]
    assert sorted(routes) == sorted({operation.id for operation in document.operations()})
    assert sum(operation.built_surface for operation in document.operations()) == 106


def test_built_operations_are_the_ones_on_the_list():
    built = sorted(r.operation_id for r in Router(resources).routes if r.bound)
    coverage = (SOURCE.parents[1] / "docs" / "coverage.md").read_text()
    listed = sorted(
        line.split("`")[1]
        for line in coverage.splitlines()
        if line.startswith("| `") and line.rstrip(" |").endswith("yes")
    )
    assert built == listed


def test_the_vendored_document_is_the_one_of_december_2024():
    vendored = (SOURCE / "data" / "openapi.json").read_bytes()
    assert json.loads(vendored)["openapi"] == "3.0.0"
    assert hashlib.sha256(vendored).hexdigest() == DOCUMENT_SHA256


def test_no_file_is_too_long_to_read():
    long = [
        f"{path.relative_to(SOURCE)}: {lines}"
        for path in SOURCE.rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > LONGEST_FILE
    ]
    assert long == []
