"""Chat completions, whole."""

import re

import pytest
from given import ENDLESS, MODEL, PERSON, SCRIPTED, WEATHER, is_person, said

CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
}
TEXT = [{"type": "text", "text": "Be short."}, {"type": "text", "text": "Be kind."}]
USER = {"role": "user", "content": "Hello"}
SHAPES = {
    "system": [{"role": "system", "content": "Be short."}, USER],
    "developer": [{"role": "developer", "content": "Be short."}, USER],
    "system parts": [{"role": "system", "content": TEXT}, USER],
    "user parts": [{"role": "user", "content": TEXT}],
    "names": [{"role": "user", "name": "Anna", "content": "Hello"}],
    "assistant text": [USER, {"role": "assistant", "content": "Hi!"}, USER],
    "assistant parts": [USER, {"role": "assistant", "content": TEXT}, USER],
    "assistant refusal": [USER, {"role": "assistant", "refusal": "I can't."}, USER],
    "assistant refusal part": [
        USER,
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I can't."}]},
        USER,
    ],
    "calls, content null": [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"},
    ],
    "calls, no content": [
        USER,
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": TEXT},
    ],
    "function": [
        USER,
        {"role": "assistant", "content": None, "function_call": CALL["function"]},
        {"role": "function", "name": "get_weather", "content": "Sunny"},
    ],
    "ends with assistant": [USER, {"role": "assistant", "content": "Once"}],
}


def test_answer_has_the_documented_shape(client):
    answer = client.chat.completions.create(**said("Hello"))
    choice = answer.choices[0]
    assert re.fullmatch(r"chatcmpl-\w+", answer.id)
    assert answer.object == "chat.completion"
    assert answer.model == "gpt-4o-2024-08-06"
    assert answer.system_fingerprint.startswith("fp_")
    assert choice.finish_reason == "stop"
    assert choice.index == 0
    assert choice.logprobs is None
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.message.refusal is None
    assert choice.message.tool_calls is None


def test_usage_adds_up(client):
    usage = client.chat.completions.create(**said("Hello")).usage
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details.cached_tokens <= usage.prompt_tokens
    assert usage.completion_tokens_details.reasoning_tokens == 0


@pytest.mark.parametrize("messages", SHAPES.values(), ids=SHAPES)
def test_every_shape_of_message_is_taken(client, messages):
    answer = client.chat.completions.create(model=MODEL, messages=messages, max_tokens=8)
    assert answer.usage.completion_tokens > 0


def test_content_of_messages_reaches_the_model(client):
    long = client.chat.completions.create(**said("Hello " * 50, max_tokens=1)).usage
    short = client.chat.completions.create(**said("Hello", max_tokens=1)).usage
    assert long.prompt_tokens >= short.prompt_tokens + 49


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_token_limit_ends_with_length(client, field):
    request = said("Hello", max_tokens=None)
    request.pop("max_tokens")
    answer = client.chat.completions.create(**request, **{field: 3})
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 3


def test_stop_is_cut_off(client):
    whole = client.chat.completions.create(**said("Hello")).choices[0].message.content
    stop = whole[len(whole) // 2 :][:3]
    choice = client.chat.completions.create(**said("Hello", stop=[stop, "never"])).choices[0]
    assert choice.message.content == whole[: whole.index(stop)]
    assert choice.finish_reason == "stop"


def test_n_gives_as_many_choices(client):
    answer = client.chat.completions.create(**said("Hello", n=3) | {"temperature": 1.5})
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.usage.completion_tokens >= 3


def test_same_seed_gives_the_same_answer(client):
    request = said("Tell me a story", seed=7, max_tokens=40) | {"temperature": 1.2}
    texts = [client.chat.completions.create(**request).choices[0].message.content for _ in "123"]
    other = client.chat.completions.create(**request | {"seed": 8}).choices[0].message.content
    assert len(set(texts)) == 1
    assert other not in texts


def test_logprobs_match_the_text(client):
    request = said("Hello", logprobs=True, top_logprobs=3)
    choice = client.chat.completions.create(**request).choices[0]
    tokens = choice.logprobs.content
    spelled = b"".join(bytes(token.bytes) for token in tokens)
    assert spelled.decode() == choice.message.content
    for token in tokens:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 3
        assert token.top_logprobs[0].token == token.token  # the likeliest was drawn


def test_logprobs_without_alternatives(client):
    choice = client.chat.completions.create(**said("Hello", logprobs=True)).choices[0]
    assert choice.logprobs.refusal is None
    assert all(token.top_logprobs == [] for token in choice.logprobs.content)


def test_json_object_is_json(client):
    request = said("Answer as json", response_format={"type": "json_object"}, max_tokens=300)
    choice = client.chat.completions.create(**request).choices[0]
    assert choice.message.content.startswith("{")
    assert choice.finish_reason in ("stop", "length")


@pytest.mark.parametrize("strict", [True, False])
def test_json_schema_is_kept(client, strict):
    schema = {"name": "person", "strict": strict, "schema": PERSON}
    request = said("Who?", response_format={"type": "json_schema", "json_schema": schema})
    choice = client.chat.completions.create(**request).choices[0]
    assert choice.finish_reason == "stop"
    assert is_person(choice.message.content)


def test_content_filter_is_told(client):
    choice = client.chat.completions.create(**said("filtered", SCRIPTED)).choices[0]
    assert choice.finish_reason == "content_filter"


def test_fields_that_change_nothing_are_taken(client):
    answer = client.chat.completions.create(
        **said("Hello", user="anna", top_p=0.9, presence_penalty=0.5, frequency_penalty=0.5),
        service_tier="auto",
        logit_bias={},
        modalities=["text"],
        metadata={"team": "green"},
        store=False,
    )
    assert answer.choices[0].message.content is not None
    assert answer.service_tier == "default"


def test_prediction_is_counted(client):
    predicted = {"type": "content", "content": "Hello there"}
    answer = client.chat.completions.create(**said("Hello", prediction=predicted))
    details = answer.usage.completion_tokens_details
    assert details.accepted_prediction_tokens + details.rejected_prediction_tokens > 0


def test_whole_window_is_free_for_a_lone_request(client):
    for number in range(4):  # each leaves something behind that the next one may not trip over
        client.chat.completions.create(**said(f"{number} word" * 200, max_tokens=1))
        answer = client.chat.completions.create(**said("Write", **ENDLESS))
        assert answer.usage.total_tokens == 1024
        assert answer.choices[0].finish_reason == "length"


def test_tools_may_be_offered_and_not_used(client):
    answer = client.chat.completions.create(**said("Hi", tools=[WEATHER], tool_choice="none"))
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].finish_reason == "stop"


def test_bias_counts_in_the_vocabulary_of_the_asked_model(client):
    request = said("Hello", logit_bias={"64": 100}, max_tokens=3)  # of gpt-4o's: "a"
    assert client.chat.completions.create(**request).choices[0].message.content == "aaa"


def test_any_letters_go_through(client):
    text = 'Grüße 👋🏽 日本語 \u202eright-to-left\u202c \x00 \\ " end'
    choice = client.chat.completions.create(**said(text, SCRIPTED)).choices[0]
    assert choice.message.content == text
    chunks = client.chat.completions.create(**said(text, SCRIPTED, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
