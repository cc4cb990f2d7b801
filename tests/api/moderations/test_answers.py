"""What ``/moderations`` answers: shapes, names, one result per text, the older ids."""

import pytest

from freehold.data.moderations import CATEGORIES, NEWER

OMNI = ("omni-moderation-latest", "omni-moderation-2024-09-26")
OLDER = ("text-moderation-latest", "text-moderation-stable", "text-moderation-007")


async def test_a_text_has_one_result_with_thirteen_categories(moderations):
    answer = await moderations.answer("violence=0.9 and hate=0.2")
    assert answer["id"].startswith("modr-")
    (result,) = answer["results"]
    assert result["flagged"] is True
    assert set(result["categories"]) == set(result["category_scores"]) == set(CATEGORIES)
    assert [name for name, applies in result["categories"].items() if applies] == ["violence"]
    assert result["category_scores"]["violence"] == 0.9
    assert result["category_scores"]["hate"] == 0.2
    assert all(kinds == ["text"] for kinds in result["category_applied_input_types"].values())


async def test_a_text_that_no_category_applies_to_is_not_flagged(moderations):
    (result,) = await moderations.results("violence=0.4")
    assert result["flagged"] is False
    assert not any(result["categories"].values())


async def test_a_list_of_texts_has_one_result_each_in_their_order(moderations):
    found = await moderations.results(["fine", "sexual=0.8", "", "hate=0.7"])
    assert [result["flagged"] for result in found] == [False, True, False, True]


async def test_text_parts_have_one_result_together(moderations):
    parts = [{"type": "text", "text": "hate=0.7"}, {"type": "text", "text": "violence=0.9"}]
    (result,) = await moderations.results(parts)
    assert result["categories"]["hate"]
    assert result["categories"]["violence"]
    assert await moderations.asked() == ["hate=0.7\nviolence=0.9"]


@pytest.mark.parametrize("model", OMNI)
async def test_newer_ids_answer_by_the_name_that_was_asked_for(moderations, model):
    assert (await moderations.answer("fine", model=model))["model"] == model


async def test_the_default_model_is_the_newest(moderations):
    assert (await moderations.answer("fine"))["model"] == "omni-moderation-latest"


@pytest.mark.parametrize("model", OLDER)
async def test_older_ids_know_eleven_categories_and_no_input_types(moderations, model):
    answer = await moderations.answer("illicit=0.9", model=model)
    assert answer["model"] == "text-moderation-007"
    (result,) = answer["results"]
    assert set(result["categories"]) == set(CATEGORIES) - NEWER
    assert set(result["category_scores"]) == set(CATEGORIES) - NEWER
    assert "category_applied_input_types" not in result
    assert result["flagged"] is False


async def test_a_moderation_counts_as_a_request_with_its_tokens(moderations):
    recorded = []
    services = moderations.server.server.api.services
    services.usage.record, record = recorded.append, services.usage.record
    try:
        await moderations.answer("one two three")
    finally:
        services.usage.record = record
    (usage,) = recorded
    assert (usage.endpoint, usage.input_tokens, usage.output_tokens) == ("createModeration", 3, 0)
    assert usage.model == "omni-moderation-2024-09-26"


async def test_other_models_are_pointed_to_their_endpoint_and_the_reverse(moderations):
    error = await moderations.refused("fine", model="gpt-4o")
    assert error["param"] == "model"
    assert "v1/chat/completions" in error["message"]
    error = await moderations.server.refused(status=404, model="omni-moderation-latest")
    assert "v1/moderations" in error["message"]
