"""Vector stores with the official client, and its helpers that upload and wait."""

import openai
import pytest

CAT = "The cat sat on the mat."
DOG = "A dog ate the long red stone."
POLL = {"poll_interval_ms": 50}


@pytest.fixture
def stores(client):
    """Return the group, which was in beta in December 2024."""
    return getattr(client, "vector_stores", None) or client.beta.vector_stores


@pytest.fixture
def store(stores):
    made = stores.create(name="Animals", metadata={"kind": "test"})
    yield made
    stores.delete(made.id)


def note(text, name="note.txt"):
    return name, text.encode()


def test_store_lives_from_creation_to_deletion(stores):
    made = stores.create(expires_after={"anchor": "last_active_at", "days": 3})
    assert made.expires_at == made.last_active_at + 3 * 86_400
    assert stores.retrieve(made.id) == made
    changed = stores.update(made.id, name="Renamed", metadata={"a": "b"})
    assert (changed.name, changed.metadata) == ("Renamed", {"a": "b"})
    assert made.id in [each.id for each in stores.list(limit=1)]
    assert stores.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        stores.retrieve(made.id)


def test_file_is_uploaded_and_waited_for(stores, store):
    file = stores.files.upload_and_poll(vector_store_id=store.id, file=note(CAT), **POLL)
    assert (file.status, file.last_error) == ("completed", None)
    assert stores.retrieve(store.id).file_counts.completed == 1
    assert [each.id for each in stores.files.list(store.id, filter="completed")] == [file.id]
    assert stores.files.delete(file.id, vector_store_id=store.id).deleted
    assert stores.retrieve(store.id).file_counts.total == 0


def test_batch_is_uploaded_and_waited_for(client, stores, store):
    first = client.files.create(file=note(CAT), purpose="assistants")
    batch = stores.file_batches.upload_and_poll(
        vector_store_id=store.id, files=[note(DOG, "dog.md")], file_ids=[first.id], **POLL
    )
    assert (batch.status, batch.file_counts.completed, batch.file_counts.total) == (
        "completed",
        2,
        2,
    )
    listed = stores.file_batches.list_files(batch.id, vector_store_id=store.id)
    assert first.id in [each.id for each in listed]
    cancelled = stores.file_batches.cancel(batch.id, vector_store_id=store.id)
    assert cancelled.status == "completed"


def test_failed_file_says_why(stores, store):
    file = stores.files.upload_and_poll(
        vector_store_id=store.id, file=("program.exe", b"MZ"), **POLL
    )
    assert file.status == "failed"
    assert file.last_error.code == "unsupported_file"


def test_store_is_searched(stores, store):
    for text, name in ((CAT, "cat.txt"), (DOG, "dog.txt")):
        stores.files.upload_and_poll(vector_store_id=store.id, file=note(text, name), **POLL)
    if not hasattr(stores, "search"):  # the client of December 2024 has none
        assert stores.retrieve(store.id).file_counts.completed == 2
        return
    page = stores.search(store.id, query="the cat on the mat", max_num_results=1)
    assert [(each.filename, each.content[0].text) for each in page] == [("cat.txt", CAT)]
