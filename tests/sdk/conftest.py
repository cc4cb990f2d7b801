"""The server, and the results of each client's cases."""

import pytest

import tiny_bert
from sdk.server import CONFIG
from sdk.suites import Runs
from sdk.vocabularies import write_cl100k
from servers import live

collect_ignore = ["cases"]  # they run in the clients' environments


@pytest.fixture(scope="session")
def sdk_server(tmp_path_factory):
    """Return a live server on the tiny models that also answers by script."""
    embedder = tiny_bert.binding(tmp_path_factory.mktemp("embedder"))
    with live(tmp_path_factory.mktemp("sdk"), CONFIG + embedder) as server:
        yield server


@pytest.fixture(scope="session")
def runs(request, sdk_server, tmp_path_factory):
    """Return the outcomes of cases; each client runs its chosen cases once."""
    chosen = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = [(p["suite"].name, p["case"]) for p in chosen if {"suite", "case"} <= p.keys()]
    vocabularies = tmp_path_factory.mktemp("vocabularies")
    write_cl100k(vocabularies)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(vocabularies))
        yield Runs(sdk_server, tmp_path_factory.mktemp("results"), wanted)
