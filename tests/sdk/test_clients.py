"""The official clients, and two frameworks on top of them, against a live server.

The cases are in ``cases`` and ``node``; here each has one test for each client that runs it.
"""

import os

import pytest

from sdk.environments import NoEnvironmentError
from sdk.suites import SUITES

# The first case of a client makes its environment and runs all its cases.
pytestmark = pytest.mark.timeout(600)


EVERY_CASE = [
    pytest.param(suite, case, id=f"{suite.name}-{case}")
    for suite in SUITES
    for case in suite.cases()
]


@pytest.mark.parametrize(("suite", "case"), EVERY_CASE)
def test_client(runs, suite, case):
    try:
        outcome = runs.outcome(suite, case)
    except NoEnvironmentError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{suite.name} can't be installed here: {error}")
    if not outcome.passed:
        pytest.fail(outcome.report, pytrace=False)
