"""The server, and the results of each client's cases."""

import pytest

from sdk.server import CONFIG
from sdk.suites import Runs
from servers import live

collect_ignore = ["cases"]  # they run in the clients' environments


@pytest.fixture(scope="session")
def sdk_server(tmp_path_factory):
    """Return a live server on the tiny model that also answers by script."""
    with live(tmp_path_factory.mktemp("sdk"), CONFIG) as server:
        yield server


@pytest.fixture(scope="session")
def runs(request, sdk_server, tmp_path_factory):
    """Return the outcomes of cases; each client runs its chosen cases once."""
    chosen = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = [(p["suite"].name, p["case"]) for p in chosen if {"suite", "case"} <= p.keys()]
    return Runs(sdk_server, tmp_path_factory.mktemp("results"), wanted)
