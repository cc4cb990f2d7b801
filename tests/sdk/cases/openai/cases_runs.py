"""Runs with the official client and its helpers."""

import openai
import pytest
from given import SCRIPTED

# The newest client calls the whole surface deprecated, as OpenAI has switched it off.
pytestmark = pytest.mark.filterwarnings(
    "ignore:deprecated$:DeprecationWarning", "ignore:The Assistants API is:DeprecationWarning"
)
CLOCK = {"type": "function", "function": {"name": "get_time"}}
HELLO = [{"role": "user", "content": "Hello there"}]
ENDED = [
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
]


@pytest.fixture
def assistant(client):
    """Return an assistant whose model repeats the user, after a forced call."""
    made = client.beta.assistants.create(model=SCRIPTED, tools=[CLOCK])
    yield made
    client.beta.assistants.delete(made.id)


@pytest.fixture
def thread(client):
    made = client.beta.threads.create(messages=HELLO)
    yield made
    client.beta.threads.delete(made.id)


@pytest.fixture
def waiting(client, assistant, thread):
    """Return a run that waits for the output of its call."""
    return client.beta.threads.runs.create_and_poll(
        thread_id=thread.id,
        assistant_id=assistant.id,
        tool_choice="required",
        poll_interval_ms=20,
    )


def outputs_of(run):
    calls = run.required_action.submit_tool_outputs.tool_calls
    return [{"tool_call_id": call.id, "output": "noon"} for call in calls]


def answer_of(client, thread):
    newest = client.beta.threads.messages.list(thread.id, limit=1).data[0]
    return newest.content[0].text.value


class Handler(openai.AssistantEventHandler):
    """Keeps what it is told of."""

    def __init__(self):
        super().__init__()
        self.text = ""
        self.done = []
        self.events = []
        self.calls = []

    def on_event(self, event):
        self.events.append(event.event)

    def on_text_delta(self, delta, snapshot):
        self.text += delta.value
        assert snapshot.value == self.text

    def on_message_done(self, message):
        self.done.append(message.content[0].text.value)

    def on_tool_call_created(self, tool_call):
        self.calls.append(tool_call.function.name)


def test_created_run_is_polled_to_its_end(client, assistant, thread):
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=20
    )
    assert run.status == "completed"
    assert run.usage.total_tokens == run.usage.prompt_tokens + run.usage.completion_tokens
    assert answer_of(client, thread) == "Hello there"
    steps = client.beta.threads.runs.steps.list(run.id, thread_id=thread.id).data
    assert [step.type for step in steps] == ["message_creation"]
    step = client.beta.threads.runs.steps.retrieve(steps[0].id, thread_id=thread.id, run_id=run.id)
    assert step.usage == steps[0].usage


def test_thread_is_made_and_run(client, assistant):
    run = client.beta.threads.create_and_run_poll(
        assistant_id=assistant.id, thread={"messages": HELLO}, poll_interval_ms=20
    )
    assert run.status == "completed"
    listed = client.beta.threads.runs.list(run.thread_id)
    assert [each.id for each in listed] == [run.id]
    kept = client.beta.threads.runs.update(run.id, thread_id=run.thread_id, metadata={"a": "b"})
    assert kept.metadata == {"a": "b"}


def test_handler_hears_every_event(client, assistant, thread):
    handler = Handler()
    with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=handler
    ) as stream:
        stream.until_done()
    assert handler.events == ENDED
    assert handler.text == "Hello there"
    assert handler.done == ["Hello there"]
    assert stream.get_final_messages()[0].status == "completed"


def test_stream_of_a_new_thread_begins_with_it(client, assistant):
    with client.beta.threads.create_and_run_stream(
        assistant_id=assistant.id, thread={"messages": HELLO}
    ) as stream:
        events = [event.event for event in stream]
    assert events == ["thread.created", *ENDED]


def test_plain_stream_tells_events(client, assistant, thread):
    stream = client.beta.threads.runs.create(
        thread_id=thread.id, assistant_id=assistant.id, stream=True
    )
    assert [event.event for event in stream if event.event != "done"] == ENDED


def test_outputs_are_submitted_and_polled(client, thread, waiting):
    assert waiting.status == "requires_action"
    run = client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=waiting.id,
        thread_id=thread.id,
        tool_outputs=outputs_of(waiting),
        poll_interval_ms=20,
    )
    assert run.status == "completed"
    assert answer_of(client, thread) == "Hello there"


def test_outputs_are_submitted_and_streamed(client, thread, waiting):
    handler = Handler()
    with client.beta.threads.runs.submit_tool_outputs_stream(
        run_id=waiting.id,
        thread_id=thread.id,
        tool_outputs=outputs_of(waiting),
        event_handler=handler,
    ) as stream:
        stream.until_done()
    assert handler.events == ["thread.run.step.completed", *ENDED[1:]]
    assert handler.text == "Hello there"


def test_stream_ends_where_outputs_are_waited_for(client, assistant, thread):
    handler = Handler()
    with client.beta.threads.runs.stream(
        thread_id=thread.id,
        assistant_id=assistant.id,
        tool_choice="required",
        event_handler=handler,
    ) as stream:
        stream.until_done()
    assert handler.events[-1] == "thread.run.requires_action"
    assert handler.calls == ["get_time"]
    run = stream.current_run
    assert run.required_action.submit_tool_outputs.tool_calls[0].function.arguments == "{}"
    client.beta.threads.runs.cancel(run.id, thread_id=thread.id)


def test_waiting_run_is_cancelled(client, thread, waiting):
    run = client.beta.threads.runs.cancel(waiting.id, thread_id=thread.id)
    assert run.status == "cancelled"


def test_second_run_is_refused(client, assistant, thread, waiting):
    with pytest.raises(openai.BadRequestError, match=f"already has an active run {waiting.id}"):
        client.beta.threads.runs.create(thread_id=thread.id, assistant_id=assistant.id)


def test_failed_run_says_why(client, thread):
    broken = client.beta.assistants.create(model=SCRIPTED)
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread.id,
        assistant_id=broken.id,
        additional_messages=[{"role": "user", "content": "broken"}],
        poll_interval_ms=20,
    )
    assert (run.status, run.last_error.code) == ("failed", "server_error")
    client.beta.assistants.delete(broken.id)


@pytest.mark.anyio
async def test_runs_without_blocking(async_client):
    beta = async_client.beta
    assistant = await beta.assistants.create(model=SCRIPTED)
    async with beta.threads.create_and_run_stream(
        assistant_id=assistant.id, thread={"messages": HELLO}
    ) as stream:
        text = [piece async for piece in stream.text_deltas]
    assert "".join(text) == "Hello there"
    await beta.assistants.delete(assistant.id)
