"""The official clients, and frameworks on top of them, against a live server.

The cases are in ``cases`` and ``node``; here each has one test for each client that runs it.
"""

import os
import re

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


@pytest.mark.parametrize("suite", SUITES, ids=[suite.name for suite in SUITES])
def test_every_case_of_a_client_is_found_once(suite):
    cases = list(suite.cases())
    written = "".join(file.read_text() for file in suite.files())
    assert len(cases) == len(
        re.findall(r"^ *(?:async )?(?:def test_|test\()", written, re.MULTILINE)
    )
    assert len(cases) == len(set(cases))


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
