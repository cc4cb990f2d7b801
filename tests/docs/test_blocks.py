"""Every code block of the README and the pages works as it stands, or says why it is not tried."""

from pathlib import Path

import pytest

from docs.blocks import PARSED, RUN, Block, blocks, check, run

ALL = blocks()
TRIED = [block for block in ALL if not block.reason]
NO_SERVER = "http://127.0.0.1:9"


def named(selected: list[Block]) -> list[object]:
    return [pytest.param(block, id=block.name) for block in selected]


def expect_success(block: Block, folder: Path, url: str, key: str) -> None:
    result = run(block, folder, url, key)
    assert result.returncode == 0, f"{block.name}\n{result.stdout}{result.stderr}"


@pytest.mark.parametrize("block", named(ALL))
def test_a_block_has_a_language_that_can_be_checked_or_a_reason(block):
    assert block.reason or block.language in RUN | PARSED


@pytest.mark.parametrize("block", named([b for b in TRIED if b.language in PARSED]))
def test_a_block_of_data_is_well_formed(block):
    check(block)
    assert block.code.strip()


@pytest.mark.parametrize(
    "block", named([b for b in TRIED if b.language in RUN and not b.needs_server])
)
def test_a_block_runs(block, tmp_path):
    expect_success(block, tmp_path, NO_SERVER, "sk-none")


@pytest.mark.parametrize("block", named([b for b in TRIED if b.language in RUN and b.needs_server]))
def test_a_block_runs_against_a_server(block, tmp_path, live_server):
    expect_success(block, tmp_path, live_server.url, live_server.key)
