"""Legacy completions, as the client sees them."""

import openai
import pytest
from given import MODEL, SCRIPTED, becomes_idle, busy

INSTRUCT = "gpt-3.5-turbo-instruct"
PROMPT = "Say hello to"


def test_a_text_is_continued(client):
    answer = client.completions.create(model=INSTRUCT, prompt=PROMPT, max_tokens=8, temperature=0)
    assert answer.id.startswith("cmpl-")
    assert answer.object == "text_completion"
    assert answer.model == INSTRUCT
    assert answer.choices[0].text
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.completion_tokens <= 8


def test_a_stream_adds_up_to_the_whole(client):
    asked = {"model": INSTRUCT, "prompt": PROMPT, "max_tokens": 8, "temperature": 0}
    whole = client.completions.create(**asked)
    stream = client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    *chunks, last = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert last.choices == []
    assert last.usage.completion_tokens == whole.usage.completion_tokens


def test_many_prompts_give_many_texts(client):
    answer = client.completions.create(model=SCRIPTED, prompt=["one", "two three"], n=2, echo=True)
    assert [choice.text for choice in answer.choices] == [
        "oneone",
        "oneone",
        "two threetwo three",
        "two threetwo three",
    ]
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]


def test_tokens_of_openais_vocabulary_are_a_prompt(client):
    answer = client.completions.create(
        model=INSTRUCT, prompt=[46864, 24748, 311], echo=True, max_tokens=0
    )
    assert answer.choices[0].text == PROMPT


def test_a_prompt_is_scored(client):
    answer = client.completions.create(
        model=INSTRUCT, prompt=PROMPT, echo=True, max_tokens=0, logprobs=5
    )
    logprobs = answer.choices[0].logprobs
    assert "".join(logprobs.tokens) == PROMPT
    assert logprobs.token_logprobs[0] is None
    assert all(figure < 0 for figure in logprobs.token_logprobs[1:])
    assert all(len(top) in (5, 6) for top in logprobs.top_logprobs[1:])
    assert logprobs.text_offset[0] == 0


def test_chat_models_are_not_found_here(client):
    with pytest.raises(openai.NotFoundError, match="This is a chat model"):
        client.completions.create(model=MODEL, prompt=PROMPT)


def test_an_insertion_is_refused(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model=INSTRUCT, prompt=PROMPT, suffix="you")
    assert caught.value.param == "suffix"


def test_a_closed_stream_frees_its_slot(client):
    stream = client.completions.create(model=SCRIPTED, prompt="slowly", stream=True, max_tokens=300)
    assert next(iter(stream)).choices[0].text
    assert busy()
    stream.close()
    assert becomes_idle()
