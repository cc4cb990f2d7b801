"""What may be moderated, and how it is refused where it may not."""

import pytest

from drawn import data_url, drawn

RED = {"type": "image_url", "image_url": {"url": data_url(drawn("red"))}}


async def test_an_empty_list_is_refused_in_openais_words(moderations):
    error = await moderations.refused([])
    assert (error["code"], error["param"]) == ("empty_array", "input")


async def test_too_many_inputs_are_refused(moderations):
    error = await moderations.refused(["x"] * 2049)
    assert error["code"] == "array_above_max_length"


@pytest.mark.parametrize(
    ("given", "param"),
    [
        (7, "input"),
        ([7], "input[0]"),
        (["x", 7], "input[1]"),
        ([{"type": "audio"}], "input[0].type"),
        ([{"type": "text"}], "input[0].text"),
        ([{"type": "image_url", "image_url": {}}], "input[0].image_url.url"),
    ],
)
async def test_an_input_of_another_kind_is_told_by_its_place(moderations, given, param):
    assert (await moderations.refused(given))["param"] == param


async def test_a_missing_input_is_told(moderations):
    answer = await moderations.server.client.post(
        "/v1/moderations", json={"model": "omni-moderation-latest"}, sends_invalid=True
    )
    assert answer.json()["error"]["code"] == "missing_required_parameter"


async def test_newer_models_refuse_more_than_32768_tokens(moderations):
    await moderations.answer("word " * 32_768)
    error = await moderations.refused(["fine", "word " * 32_769])
    assert error["code"] == "context_length_exceeded"
    assert "maximum context length is 32768 tokens" in error["message"]
    assert "32769 tokens" in error["message"]


async def test_older_models_read_the_beginning_of_a_longer_text(moderations):
    text = "hate=0.9 " + "word " * 65_536 + "violence=0.9"
    (result,) = await moderations.results(text, model="text-moderation-007")
    assert result["categories"]["hate"]
    assert not result["categories"]["violence"]


async def test_a_request_of_more_than_a_million_tokens_is_refused(moderations):
    error = await moderations.refused(["word " * 32_000] * 40)
    assert error["code"] == "max_tokens_per_request"


async def test_a_text_beyond_every_tokenizer_is_not_counted(moderations):
    error = await moderations.refused("x" * 4_200_000)
    assert error["code"] == "context_length_exceeded"
    (result,) = await moderations.results("x" * 4_200_000, model="text-moderation-latest")
    assert not result["flagged"]
    (read,) = await moderations.asked("text-moderation-007")
    assert len(read) == 32_768 * 128


async def test_older_models_take_no_images(moderations):
    error = await moderations.refused([RED], model="text-moderation-latest")
    assert (error["code"], error["param"]) == ("invalid_value", "input[0].image_url")


async def test_a_second_image_is_refused(moderations):
    error = await moderations.refused([{"type": "text", "text": "x"}, RED, RED])
    assert (error["code"], error["param"]) == ("too_many_images", "input[2].image_url")


async def test_images_without_the_weights_that_score_them_are_refused_with_the_command(moderations):
    error = await moderations.refused([RED], status=503)
    assert error["code"] == "model_not_loaded"
    assert "freehold models pull open-nsfw" in error["message"]
