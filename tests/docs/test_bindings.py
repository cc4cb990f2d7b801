"""The bindings that the pages show are ones that the server takes."""

from fnmatch import fnmatchcase

import pytest

from docs.blocks import ROOT, blocks
from freehold.core import settings
from freehold.data.models import catalogue
from freehold.engines.registry import Registry
from freehold.engines.weights import WeightsStore

PAGES = (
    ROOT / "docs/how-to/bind-a-model.md",
    ROOT / "docs/how-to/embeddings.md",
    ROOT / "docs/settings.md",
)
SHOWN = [block for block in blocks() if block.page in PAGES and block.language == "toml"]


@pytest.mark.parametrize("block", [pytest.param(block, id=block.name) for block in SHOWN])
def test_a_shown_binding_is_taken_and_serves_its_ids(block, tmp_path):
    file = tmp_path / "freehold.toml"
    file.write_text(block.code)
    found = settings.load(environ={}, file=file).settings
    registry = Registry(catalogue(), found, WeightsStore(tmp_path), tmp_path)
    for name, binding in found.models.items():
        ids = [i for i in catalogue().ids() if fnmatchcase(i, name)] or [name]
        assert any(registry.find(model_id).binding == binding for model_id in ids)
