"""The header that names the version of the Assistants API."""

import pytest

from freehold.api import beta
from freehold.core.errors import BadRequestError


@pytest.mark.parametrize(
    "header", [None, b"", b"assistants=v2", b"realtime=v1", b"realtime=v1, assistants=v2"]
)
def test_second_version_and_no_header_are_fine(header):
    headers = {} if header is None else {b"openai-beta": header}
    beta.check("/v1/threads/thread_1", headers)


@pytest.mark.parametrize("path", ["/v1/assistants", "/v1/threads/x/runs", "/v1/vector_stores"])
@pytest.mark.parametrize("header", [b"assistants=v1", b"assistants=v3", b"a=b,assistants=v1"])
def test_other_versions_are_refused(path, header):
    with pytest.raises(BadRequestError, match="assistants=v2") as caught:
        beta.check(path, {b"openai-beta": header})
    assert caught.value.code == "invalid_beta"


def test_other_groups_ignore_it():
    beta.check("/v1/chat/completions", {b"openai-beta": b"assistants=v1"})
