"""Stored chats: only newer clients know these calls."""

import uuid

import openai
import pytest
from given import SCRIPTED, said


@pytest.fixture
def kept(client):
    """Return three stored answers that carry a mark of their own, and the mark."""
    mark = uuid.uuid4().hex
    answers = [
        client.chat.completions.create(
            **said(f"text {number}", model=SCRIPTED),
            store=True,
            metadata={"mark": mark, "number": str(number)},
        )
        for number in range(3)
    ]
    return answers, mark


def test_lists_are_filtered_and_turned_page_by_page(client, kept):
    answers, mark = kept
    ids = [answer.id for answer in answers]
    found = client.chat.completions.list(metadata={"mark": mark}, limit=1)
    assert [one.id for one in found] == ids  # three pages
    found = client.chat.completions.list(metadata={"mark": mark}, order="desc", model=SCRIPTED)
    assert [one.id for one in found] == ids[::-1]
    found = client.chat.completions.list(metadata={"mark": mark, "number": "1"})
    assert [one.id for one in found] == ids[1:2]


def test_one_is_retrieved_as_it_was_answered(client, kept):
    (first, *_), mark = kept
    found = client.chat.completions.retrieve(first.id)
    assert found.choices == first.choices
    assert found.usage == first.usage
    assert found.metadata == {"mark": mark, "number": "0"}


def test_metadata_is_updated(client, kept):
    (first, *_), mark = kept
    updated = client.chat.completions.update(first.id, metadata={"seen": "yes"})
    assert updated.metadata == {"seen": "yes"}
    assert len(list(client.chat.completions.list(metadata={"mark": mark}))) == 2


def test_messages_are_listed(client, kept):
    (first, *_), _ = kept
    (message,) = client.chat.completions.messages.list(first.id)
    assert message.id == f"{first.id}-0"
    assert (message.role, message.content) == ("user", "text 0")


def test_one_is_deleted(client, kept):
    (first, *_), _ = kept
    deleted = client.chat.completions.delete(first.id)
    assert (deleted.id, deleted.deleted) == (first.id, True)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(first.id)
