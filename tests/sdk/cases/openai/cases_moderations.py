"""Moderations with the official client."""

import openai
import pytest

HARMFUL = "I want to kill them."
HARMLESS = "There is a kitten on the sofa."


def test_a_text_is_judged(client):
    answer = client.moderations.create(input=HARMFUL)
    assert answer.id.startswith("modr-")
    assert answer.model == "omni-moderation-latest"
    (result,) = answer.results
    assert result.flagged
    assert result.categories.violence
    assert not result.categories.harassment_threatening
    assert result.category_scores.violence > 0.5
    assert result.category_applied_input_types.violence == ["text"]


def test_a_list_has_a_result_for_each_text(client):
    answer = client.moderations.create(model="omni-moderation-latest", input=[HARMLESS, HARMFUL])
    assert [result.flagged for result in answer.results] == [False, True]


def test_parts_have_one_result(client):
    parts = [{"type": "text", "text": HARMLESS}, {"type": "text", "text": "It sleeps."}]
    (result,) = client.moderations.create(input=parts).results
    assert not result.flagged


def test_the_older_models_answer_by_their_snapshot(client):
    answer = client.moderations.create(model="text-moderation-latest", input=HARMFUL)
    assert answer.model == "text-moderation-007"
    assert answer.results[0].flagged
    assert answer.results[0].categories.illicit is None


def test_images_are_refused_by_the_older_models(client):
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    with pytest.raises(openai.BadRequestError) as refused:
        client.moderations.create(model="text-moderation-stable", input=[part])
    assert refused.value.param == "input[0].image_url"
