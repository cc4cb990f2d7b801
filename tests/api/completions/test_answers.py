"""Legacy completions, whole: what OpenAI's contract promises whatever the engine says."""

import asyncio

import pytest
from sqlalchemy import select

from freehold.storage.open import open_database
from freehold.storage.tables import usage_events
from servers import scripted
from texts import PATH, body_of, completed, engine, only, texts

# "one two three" in cl100k, the table of gpt-3.5-turbo-instruct.
ONE_TWO_THREE = [606, 1403, 2380]


async def test_an_answer_names_its_model_and_counts_what_it_used(shared):
    answer = await completed(shared)
    assert answer["id"].startswith("cmpl-")
    assert answer["object"] == "text_completion"
    assert answer["model"] == "gpt-3.5-turbo-instruct"
    assert answer["system_fingerprint"].startswith("fp_")
    (choice,) = answer["choices"]
    assert choice == {
        "text": "one two three",
        "index": 0,
        "logprobs": None,
        "finish_reason": "stop",
    }
    usage = answer["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (3, 3, 6)


@pytest.mark.parametrize("model", ["gpt-3.5-turbo-instruct", "davinci-002", "babbage-002"])
async def test_every_completion_model_answers(shared, model):
    assert (await completed(shared, model=model))["model"] == model


async def test_sixteen_tokens_are_made_unless_told(shared):
    choice = await only(shared, "word " * 20)
    assert (len(choice["text"].split()), choice["finish_reason"]) == (16, "length")
    choice = await only(shared, "word " * 20, max_tokens=3)
    assert (choice["text"], choice["finish_reason"]) == ("word word word", "length")


async def test_prompts_are_texts_lists_tokens_and_lists_of_tokens(shared):
    assert await texts(shared, ["a b", "c"]) == ["a b", "c"]
    assert await texts(shared, ONE_TWO_THREE) == ["one two three"]
    assert await texts(shared, [ONE_TWO_THREE, ONE_TWO_THREE[:1]]) == ["one two three", "one"]


async def test_a_character_cut_by_tokens_is_replaced(shared):
    assert await texts(shared, [11410]) == [" �"]  # a blank and the first bytes of an emoji


async def test_own_models_take_their_own_tokens(start):
    api = await start()
    loaded = await engine(api)
    ids = await loaded.tokenize("four five")
    assert await texts(api, ids, model="scripted") == ["four five"]
    assert loaded.requests[-1].prompt == tuple(ids)


@pytest.mark.parametrize("prompt", [None, "<|endoftext|>", [100257]])
async def test_without_a_prompt_a_new_document_is_begun(start, prompt):
    api = await start(models=scripted({"text": "Once"}))
    choice = await only(api, prompt, echo=True)
    assert choice["text"] == "<|endoftext|>Once"
    assert (await engine(api)).requests[0].prompt == ""


async def test_an_absent_prompt_is_as_good_as_null(start):
    api = await start(models=scripted({"text": "Once"}))
    answer = await api.client.post(PATH, json={"model": "davinci-002"})
    assert answer.json()["choices"][0]["text"] == "Once"


async def test_n_texts_for_each_prompt_are_numbered(shared):
    answer = await completed(shared, ["a b", "c"], n=2)
    assert [(c["index"], c["text"]) for c in answer["choices"]] == [
        (0, "a b"),
        (1, "a b"),
        (2, "c"),
        (3, "c"),
    ]
    assert answer["usage"]["prompt_tokens"] == 3
    assert answer["usage"]["completion_tokens"] == 6


async def test_more_texts_than_the_queue_holds_wait_for_each_other(start):
    api = await start(models=scripted(slots=1), queue_limit=1)
    assert await texts(api, ["a", "b", "c"], n=8) == ["a"] * 8 + ["b"] * 8 + ["c"] * 8


async def test_echo_puts_the_prompt_in_front(shared):
    assert (await only(shared, "one two", echo=True))["text"] == "one twoone two"
    assert await texts(shared, [ONE_TWO_THREE], echo=True) == ["one two threeone two three"]
    native = await (await engine(shared)).tokenize("x y")
    assert await texts(shared, native, model="scripted", echo=True) == ["x yx y"]


async def test_echo_without_any_token_gives_the_prompt_back(shared):
    answer = await completed(shared, "one two", echo=True, max_tokens=0)
    (choice,) = answer["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("one two", "length")
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (2, 0)
    assert await texts(shared, "one two", max_tokens=0) == [""]


async def test_logprobs_are_four_lists(start):
    api = await start(models=scripted({"text": "zwölf oder elf", "logprobs": [-0.5, -0.25]}))
    logprobs = (await only(api, "Wie spät", logprobs=2))["logprobs"]
    assert logprobs == {
        "tokens": ["zwölf", " oder", " elf"],
        "token_logprobs": [-0.5, -0.25, -0.25],
        "top_logprobs": [
            {"zwölf": -0.5, "zwölf1": -1.5},
            {" oder": -0.25, " oder1": -1.25},
            {" elf": -0.25, " elf1": -1.25},
        ],
        "text_offset": [8, 13, 18],  # behind the prompt
    }


async def test_no_alternatives_still_tell_the_drawn_token(shared):
    logprobs = (await only(shared, "one two", logprobs=0))["logprobs"]
    assert logprobs["top_logprobs"] == [{"one": -0.25}, {" two": -0.25}]


async def test_echo_with_logprobs_scores_the_prompt(start):
    api = await start(models=scripted({"text": " four"}))
    choice = await only(api, "one zwölf three", echo=True, logprobs=1)
    assert choice["text"] == "one zwölf three four"
    logprobs = choice["logprobs"]
    assert logprobs["tokens"] == ["one", " zwölf", " three", " four"]
    assert logprobs["token_logprobs"] == [None, -0.25, -0.25, -0.25]
    assert logprobs["top_logprobs"][:2] == [None, {" zwölf": -0.25}]
    assert logprobs["text_offset"] == [0, 3, 9, 15]
    for token, at in zip(logprobs["tokens"], logprobs["text_offset"], strict=True):
        assert choice["text"][at:].startswith(token)


async def test_scoring_needs_no_new_token(shared):
    choice = await only(shared, "one two", echo=True, logprobs=5, max_tokens=0)
    assert choice["text"] == "one two"
    assert choice["logprobs"]["token_logprobs"] == [None, -0.25]
    assert len(choice["logprobs"]["top_logprobs"][1]) == 5
    assert choice["finish_reason"] == "length"
    document = await only(shared, None, echo=True, logprobs=1, max_tokens=0)
    assert document["logprobs"]["tokens"] == ["<|endoftext|>"]


async def test_the_best_are_the_likeliest_and_all_are_counted(start):
    script = [
        {"text": "poor one", "logprobs": [-3, -3]},
        {"text": "best", "logprobs": [-0.1]},
        {"text": ""},
        {"text": "good text", "logprobs": [-0.1, -1]},
    ]
    api = await start(models=scripted(*script, slots=1))
    answer = await completed(api, "x", best_of=4, n=2)
    assert [c["text"] for c in answer["choices"]] == ["best", "good text"]
    assert [c["index"] for c in answer["choices"]] == [0, 1]
    assert answer["choices"][0]["logprobs"] is None
    assert answer["usage"]["completion_tokens"] == 5
    assert answer["usage"]["prompt_tokens"] == 1


async def test_as_many_as_the_best_are_all_of_them(shared):
    assert await texts(shared, "a", best_of=2, n=2) == ["a", "a"]


async def test_a_stop_string_across_tokens_is_cut_and_ends_the_work(start):
    api = await start(models=scripted({"text": ["one t", "wo th", "ree", " four"]}))
    answer = await completed(api, "two three", stop=["two three", "x"], echo=True)
    (choice,) = answer["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("two threeone ", "stop")
    assert answer["usage"]["prompt_tokens"] == 2
    assert (await engine(api)).cancelled == 1


async def test_every_field_reaches_the_engine(start):
    api = await start()
    await completed(
        api,
        temperature=0.5,
        top_p=0.9,
        presence_penalty=1,
        frequency_penalty=-1,
        seed=7,
        max_tokens=9,
        stop="x",
        logit_bias={"15339": -100},  # "hello" in cl100k
        user="u",
    )
    request = (await engine(api)).requests[0]
    sampling = request.sampling
    assert (request.prompt, request.stop) == ("one two three", ("x",))
    assert (sampling.temperature, sampling.top_p, sampling.seed) == (0.5, 0.9, 7)
    assert (sampling.presence_penalty, sampling.frequency_penalty) == (1, -1)
    assert (sampling.max_tokens, sampling.logprobs) == (9, None)
    assert list(sampling.logit_bias.values()) == [-100]
    assert await (await engine(api)).detokenize(list(sampling.logit_bias)) == "hello"


async def test_a_seed_gives_each_text_of_a_prompt_its_own(start):
    api = await start()
    await completed(api, ["a", "b"], seed=7, n=2)
    asked = [(r.prompt, r.sampling.seed) for r in (await engine(api)).requests]
    assert sorted(asked) == [("a", 7), ("a", 8), ("b", 7), ("b", 8)]


async def test_null_is_as_good_as_absent(shared):
    fields = ("best_of", "echo", "logit_bias", "logprobs", "max_tokens", "n", "seed", "stop")
    more = ("stream", "stream_options", "suffix", "temperature", "top_p", "user")
    assert await texts(shared, **dict.fromkeys((*fields, *more))) == ["one two three"]


async def test_usage_is_recorded_and_taken_from_the_limits(start):
    api = await start()
    answer = await api.client.post(PATH, json=body_of(["one two", "three"], n=2))
    limit, left = (answer.headers[f"x-ratelimit-{x}-requests"] for x in ("limit", "remaining"))
    assert int(left) < int(limit)
    await api.server.stop()  # writes down what is left
    database = open_database(f"sqlite:///{api.server.api.services.settings.state_dir}/freehold.db")
    rows = await database.read(lambda c: c.execute(select(usage_events)).mappings().all())
    await database.close()
    (row,) = rows
    assert (row["endpoint"], row["model"]) == ("createCompletion", "gpt-3.5-turbo-instruct")
    assert (row["input_tokens"], row["output_tokens"]) == (3, 6)


async def test_requests_beyond_the_queue_are_told_when_to_come_back(start):
    api = await start(models=scripted({"text": "at last", "hang": True}, slots=1), queue_limit=1)
    loaded = await engine(api)
    first = asyncio.create_task(completed(api))
    while not loaded.requests:
        await asyncio.sleep(0)
    second = asyncio.create_task(completed(api, "second"))
    while api.server.registry.statuses()["scripted"].queued < 1:
        await asyncio.sleep(0)
    answer = await api.client.post(PATH, json=body_of())
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["error"]["code"] == "server_overloaded"
    loaded.resume.set()
    assert (await first)["choices"][0]["text"] == "at last"
    assert (await second)["choices"][0]["text"] == "second"
