"""Assistants, threads and messages with the official client."""

import openai
import pytest

# The newest client calls the whole surface deprecated, as OpenAI has switched it off.
pytestmark = pytest.mark.filterwarnings(
    "ignore:deprecated$:DeprecationWarning", "ignore:The Assistants API is:DeprecationWarning"
)
MODEL = "gpt-4o"
FUNCTION = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest.fixture
def assistant(client):
    made = client.beta.assistants.create(model=MODEL, name="Helper", instructions="Be brief.")
    yield made
    client.beta.assistants.delete(made.id)


@pytest.fixture
def thread(client):
    made = client.beta.threads.create(messages=[{"role": "user", "content": "Hello"}])
    yield made
    client.beta.threads.delete(made.id)


@pytest.fixture
def file(client):
    made = client.files.create(file=("notes.txt", b"Two notes."), purpose="assistants")
    yield made
    client.files.delete(made.id)


def test_assistant_is_made_changed_and_deleted(client):
    made = client.beta.assistants.create(
        model=MODEL,
        tools=[{"type": "code_interpreter"}, {"type": "file_search"}, FUNCTION],
        metadata={"team": "a"},
        response_format={"type": "json_object"},
    )
    assert [tool.type for tool in made.tools] == ["code_interpreter", "file_search", "function"]
    assert made.tools[2].function.name == "get_weather"
    assert made.response_format.type == "json_object"
    assert client.beta.assistants.retrieve(made.id) == made
    changed = client.beta.assistants.update(made.id, temperature=0.2, tools=[])
    assert (changed.temperature, changed.tools, changed.metadata) == (0.2, [], {"team": "a"})
    assert client.beta.assistants.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError, match="No assistant found with id"):
        client.beta.assistants.retrieve(made.id)


def test_assistant_has_its_vector_store_from_the_start(client, file):
    made = client.beta.assistants.create(
        model=MODEL,
        tools=[{"type": "file_search"}],
        tool_resources={
            "code_interpreter": {"file_ids": [file.id]},
            "file_search": {"vector_stores": [{"file_ids": [file.id]}]},
        },
    )
    assert made.tool_resources.code_interpreter.file_ids == [file.id]
    assert len(made.tool_resources.file_search.vector_store_ids) == 1
    assert client.beta.assistants.delete(made.id).deleted


def test_list_of_assistants_pages_by_itself(client):
    made = [client.beta.assistants.create(model=MODEL).id for _ in range(3)]
    for order, expected in (("desc", made[::-1]), ("asc", made)):
        listed = [one.id for one in client.beta.assistants.list(limit=1, order=order)]
        assert [one for one in listed if one in made] == expected
    before = client.beta.assistants.list(before=made[0], limit=1)
    assert [one.id for one in before.data] == [made[1]]
    for one in made:
        client.beta.assistants.delete(one)


def test_missing_model_is_named(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.beta.assistants.create(model="gpt-99")
    assert caught.value.code == "model_not_found"


def test_thread_is_made_changed_and_deleted(client, file):
    made = client.beta.threads.create(
        messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}],
        tool_resources={"code_interpreter": {"file_ids": [file.id]}},
    )
    assert client.beta.threads.retrieve(made.id) == made
    changed = client.beta.threads.update(made.id, metadata={"k": "v"})
    assert (changed.metadata, changed.tool_resources) == ({"k": "v"}, made.tool_resources)
    assert client.beta.threads.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError, match="No thread found with id"):
        client.beta.threads.messages.list(made.id)


def test_messages_are_added_with_parts_and_files(client, thread, file):
    made = client.beta.threads.messages.create(
        thread.id,
        role="user",
        content=[
            {"type": "text", "text": "Look:"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        ],
        attachments=[{"file_id": file.id, "tools": [{"type": "file_search"}]}],
        metadata={"k": "v"},
    )
    assert [part.type for part in made.content] == ["text", "image_url"]
    assert made.content[0].text.value == "Look:"
    assert made.attachments[0].tools[0].type == "file_search"
    assert client.beta.threads.messages.retrieve(made.id, thread_id=thread.id) == made
    resources = client.beta.threads.retrieve(thread.id).tool_resources
    assert len(resources.file_search.vector_store_ids) == 1
    changed = client.beta.threads.messages.update(made.id, thread_id=thread.id, metadata={})
    assert changed == made.model_copy(update={"metadata": {}})


def test_list_of_messages_pages_by_itself(client, thread):
    texts = [f"number {number}" for number in range(7)]
    for text in texts:
        client.beta.threads.messages.create(thread.id, role="user", content=text)
    listed = client.beta.threads.messages.list(thread.id, limit=3, order="asc")
    assert [one.content[0].text.value for one in listed] == ["Hello", *texts]
    newest = client.beta.threads.messages.list(thread.id, limit=2)
    assert [one.content[0].text.value for one in newest.data] == texts[:4:-1]
    assert newest.has_next_page()


def test_deleted_message_is_gone(client, thread):
    made = client.beta.threads.messages.create(thread.id, role="user", content="Oh")
    assert client.beta.threads.messages.delete(made.id, thread_id=thread.id).deleted
    assert [one.content[0].text.value for one in client.beta.threads.messages.list(thread.id)] == [
        "Hello"
    ]


def test_first_version_of_the_api_is_refused(client, assistant):
    v1 = {"OpenAI-Beta": "assistants=v1"}
    with pytest.raises(openai.BadRequestError) as caught:
        client.beta.assistants.retrieve(assistant.id, extra_headers=v1)
    assert caught.value.code == "invalid_beta"


@pytest.mark.anyio
async def test_async_client_pages_through_messages(async_client):
    begun = [{"role": "user", "content": str(number)} for number in range(5)]
    thread = await async_client.beta.threads.create(messages=begun)
    listed = async_client.beta.threads.messages.list(thread.id, limit=2, order="asc")
    assert [one.content[0].text.value async for one in listed] == list("01234")
    assert (await async_client.beta.threads.delete(thread.id)).deleted
