"""The scripts that cut the additions and write the coverage table."""

import importlib.util
import sys
from pathlib import Path

import pytest

from freehold.data import document

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def script(monkeypatch):
    """Return a function that loads a script by name."""
    monkeypatch.syspath_prepend(SCRIPTS)

    def load(name):
        spec = importlib.util.spec_from_file_location(f"script_{name}", SCRIPTS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    return load


def test_prose_is_left_behind_but_not_properties_named_like_it(script):
    cut = script("cut_additions")
    node = {
        "description": "Prose.",
        "x-meta": 1,
        "properties": {"description": {"type": "string", "example": "a"}},
    }
    assert cut.plain(node) == {"properties": {"description": {"type": "string"}}}


def test_null_becomes_nullable(script):
    cut = script("cut_additions")
    null = {"type": "null"}
    assert cut.plain({"anyOf": [{"type": "string"}, null]}) == {"type": "string", "nullable": True}
    reference = {"$ref": "#/components/schemas/A"}
    assert cut.plain({"anyOf": [reference, null]}) == {"anyOf": [reference], "nullable": True}
    assert cut.plain({"anyOf": [reference, {"type": "string"}]}) == {
        "anyOf": [reference, {"type": "string"}]
    }


def test_schemas_come_with_what_they_refer_to_and_older_ones_stay(script):
    cut = script("cut_additions")
    to = "#/components/schemas/"
    newer = {
        "components": {
            "schemas": {
                "A": {"properties": {"b": {"$ref": to + "B"}, "old": {"$ref": to + "Old"}}},
                "B": {"type": "string"},
                "Old": {"type": "integer"},
                "Other": {"type": "integer"},
            }
        }
    }
    assert list(cut.cut_schemas(newer, {"Old"}, [{"$ref": to + "A"}])) == ["A", "B"]


def test_overlay_takes_single_properties_at_any_depth(script):
    cut = script("cut_additions")
    newer = {
        "components": {
            "schemas": {
                "A": {"allOf": [{"$ref": "#/components/schemas/B"}]},
                "B": {"properties": {"c": {"properties": {"d": {"type": "string"}, "e": {}}}}},
            }
        }
    }
    assert cut.cut_overlay(newer, "A", ["c.d"]) == {
        "properties": {"c": {"type": "object", "properties": {"d": {"type": "string"}}}}
    }


def test_what_is_cut_is_listed_in_the_script(script):
    cut = script("cut_additions")
    added = [one.id for one in document.operations() if not one.built_surface]
    assert sorted(added) == sorted(cut.OPERATIONS)
    assert set(document._read("openapi-additions.json")["overlays"]) == set(cut.OVERLAYS)


def test_coverage_counts_the_document_and_the_additions_apart(script):
    coverage = script("coverage")
    page = coverage.page({"listModels"})
    assert "1 of 106 are built." in page
    assert "0 of 8 are built." in page
    assert "| `listModels` | `GET /v1/models` | yes |" in page
    assert coverage.ROW.findall(page) == ["listModels"]


def test_built_operations_are_those_of_the_document(script):
    built = list(script("coverage").built_operations())
    assert "createChatCompletion" in built
    assert len(built) == len(set(built))
    assert all(document.operation(one) for one in built)


def test_an_operation_may_not_become_unbuilt(script, monkeypatch):
    coverage = script("coverage")
    monkeypatch.setattr(coverage, "built_operations", lambda: iter(["listModels"]))
    with pytest.raises(SystemExit, match=r"no longer built: .*createChatCompletion"):
        coverage.main(["--check"])


def test_page_is_current(script):
    assert script("coverage").main(["--check"]) is None
