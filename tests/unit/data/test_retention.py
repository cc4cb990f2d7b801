"""Retention is as OpenAI documents it per endpoint."""

import pytest

from freehold.core.ids import PREFIXES
from freehold.data import document, retention


def test_stored_chat_completions_are_kept_30_days():
    assert retention.retention("chat_completion").seconds == 30 * 86_400


def test_zero_retention_keeps_none_of_them():
    assert retention.retention("chat_completion").zero_retention == "never"


@pytest.mark.parametrize("kind", ["file", "assistant", "thread"])
def test_what_the_caller_deletes_is_kept_until_then(kind):
    with pytest.raises(ValueError, match="until they are deleted"):
        _ = retention.retention(kind).seconds


@pytest.mark.parametrize("kind", ["file", "upload", "assistant", "thread"])
def test_zero_retention_excludes_what_cannot_be_had_without(kind):
    assert retention.retention(kind).zero_retention == "refused"


def test_every_row_is_of_a_kind_with_ids_and_a_documented_endpoint():
    paths = {operation.path for operation in document.operations()}
    for kind, row in retention.retentions().items():
        assert kind in PREFIXES
        assert row.endpoint.removeprefix("/v1") in paths


def test_what_is_not_kept_has_no_row():
    with pytest.raises(KeyError):
        retention.retention("moderation")
