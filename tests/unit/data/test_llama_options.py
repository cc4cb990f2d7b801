"""The options of llama.cpp: every row is one, and is handed on as the library takes it."""

import json

import pytest

from freehold.data import llama_options
from freehold.engines.backends import llama_child

VALUES = {
    "integer": 3,
    "number": 0.5,
    "boolean": True,
    "text": "x=CPU",
    "numbers": [0.25, 0.75],
    "weights": "/file.gguf",
    "adapters": [{"path": "/a.gguf", "scale": 0.5}, {"path": "/b.gguf"}],
    "table": {"thinking": False},
}
ROWS = [row for row in llama_options.rows().values() if not row.ours]


def value_of(row):
    return next(reversed(row.choices)) if row.choices else VALUES[row.type]


def parameters(options):
    settings = {
        "weights": "/w.gguf",
        "slots": [0],
        "context": 64,
        "threads": 1,
        "control": "/s.sock",
        "sees": False,
        "options": json.loads(json.dumps(llama_options.native(options))),
    }
    return llama_child._parameters(settings)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_option_is_a_field_of_the_library(row):
    found = parameters({row.name: value_of(row)})
    for part in (row.target or row.name).split("."):
        found = getattr(found, part)
    if row.choices:
        assert found == row.choices[value_of(row)]
    elif row.type == "adapters":
        assert [(one.path, one.scale) for one in found] == [("/a.gguf", 0.5), ("/b.gguf", 1.0)]
    elif row.type == "numbers":
        assert list(found[:3]) == [0.25, 0.75, 0]
    else:
        assert found == value_of(row)


def test_a_draft_model_switches_guessing_on():
    kinds = parameters({"draft": "/file.gguf"}).speculative.types
    assert [kind.name for kind in kinds] == ["COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE"]
    assert parameters({}).speculative.types != kinds


@pytest.mark.parametrize("row", llama_options.offered().values(), ids=lambda row: row.name)
def test_right_values_are_accepted(row):
    assert llama_options.fault({row.name: value_of(row)}) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"zzzz": 1}, "Unknown option zzzz. Known: n_gpu_layers, "),
        ({"flash_attn": "enabled"}, "Did you mean flash_attn_type?"),
        ({"n_draft": 3}, "Did you mean draft?"),
        ({"draft_max": 3}, "Did you mean draft_n_max?"),
        ({"mmproj": "/x"}, "is a setting of the model itself: mmproj"),
        ({"n_batch": 0}, "1 or more"),
        ({"n_batch": True}, "a whole number"),
        ({"cache_type_k": "q3"}, "f32, f16, bf16, q8_0, q4_0, q4_1, iq4_nl, q5_0 or q5_1"),
        ({"tensor_split": [1] * 129}, "at most 128 numbers"),
        ({"lora": [{"file": "/x"}]}, "a list of tables with a path"),
        ({"lora": "/x"}, "a list of tables with a path"),
    ],
)
def test_wrong_ones_are_named_with_what_is_right(options, words):
    assert words in llama_options.fault(options)


def test_files_are_found_and_replaced_by_where_they_lie():
    options = {"draft": "a", "lora": [{"path": "b"}], "n_batch": 3}
    assert list(llama_options.sources(options)) == ["a", "b"]
    found = llama_options.resolved(options, lambda name: f"/{name}")
    assert found == {"draft": "/a", "lora": [{"path": "/b"}], "n_batch": 3}
