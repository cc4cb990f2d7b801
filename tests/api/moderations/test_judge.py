"""A chat model that moderates: Llama Guard's way and the general one."""

import json

import pytest

from api.moderations.conftest import Moderations
from freehold.core.settings import Settings, SettingsError
from freehold.data.models import catalogue
from freehold.data.moderations import CATEGORIES
from freehold.engines.base import Chat
from freehold.engines.registry import Registry
from servers import in_process, scripted


def bound(*script, form="json"):
    judge = {"backend": "judge", "model": "scripted", "options": {"form": form}}
    return {**scripted(*script), "omni-moderation-2024-09-26": judge}


def rating(**given):
    return json.dumps(dict.fromkeys(CATEGORIES, 0) | given)


async def judged(folder, *script, form="json", given="a text"):
    """Return the results and what the chat model was asked."""
    async with in_process(folder, models=bound(*script, form=form)) as server:
        found = await Moderations(server).results(given)
        judge = await server.server.registry.find("scripted").text.ensure_loaded()
        return found, judge.requests


async def test_ratings_in_json_are_the_scores(tmp_path):
    script = {"text": rating(violence=9, hate=2)}
    (result,), (asked,) = await judged(tmp_path, script, given="I'll hit you")
    assert result["category_scores"]["violence"] == 0.9
    assert result["category_scores"]["hate"] == 0.2
    assert [name for name, applies in result["categories"].items() if applies] == ["violence"]
    assert isinstance(asked.prompt, Chat)
    assert "I'll hit you" in asked.prompt.messages[-1].content
    assert set(asked.schema["required"]) == set(CATEGORIES)
    assert asked.sampling.temperature == 0


async def test_a_list_is_judged_text_by_text_in_order(tmp_path):
    bad = {"text": rating(violence=9), "when": "bad"}
    good = {"text": rating(), "when": "good"}
    found, asked = await judged(tmp_path, bad, good, given=["good", "bad", "good"])
    assert [result["flagged"] for result in found] == [False, True, False]
    assert len(asked) == 3


async def test_a_long_text_is_judged_in_pieces_and_the_highest_score_counts(tmp_path):
    bad = {"text": rating(violence=8), "when": "bad"}
    good = {"text": rating(violence=1), "when": "good"}
    (result,), asked = await judged(tmp_path, bad, good, given="good " * 2000 + "bad")
    assert result["category_scores"]["violence"] == 0.8
    assert len(asked) > 1


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("safe", set()),
        ("\n\nunsafe\nS1", {"violence", "illicit", "illicit/violent"}),
        ("unsafe\nS10,S11", {"hate", "self-harm"}),
        ("unsafe\nS10, S12", {"hate", "sexual"}),
        ("unsafe\nS8", set()),
        ("unsafe\nS99", set()),
    ],
)
async def test_llama_guards_hazards_are_categories(tmp_path, said, names):
    (result,), (asked,) = await judged(tmp_path, {"text": said}, form="llama-guard")
    applying = {name for name, applies in result["categories"].items() if applies}
    assert applying == names
    assert [message.role for message in asked.prompt.messages] == ["user"]


async def test_no_verdict_is_an_error_and_not_a_clean_result(tmp_path):
    for form in ("llama-guard", "json"):
        models = bound({"text": "I think so."}, form=form)
        async with in_process(tmp_path / form, models=models) as server:
            error = await Moderations(server).refused("x", status=500)
            assert "no verdict" in error["message"]


@pytest.mark.parametrize(
    ("binding", "says"),
    [
        ({"backend": "judge"}, "a judge needs the id of a chat model"),
        ({"backend": "judge", "model": "all-minilm-l6-v2"}, "which all-minilm-l6-v2 is not"),
        ({"backend": "judge", "model": "omni-moderation-latest"}, "is not"),
        ({"backend": "judge", "model": "gpt-4o", "options": {"form": "x"}}, "json or llama-guard"),
    ],
)
def test_a_judge_that_can_not_judge_stops_the_start(tmp_path, binding, says):
    settings = Settings.model_validate({"models": {"omni-moderation-latest": binding}})
    with pytest.raises(SettingsError, match=says):
        Registry(catalogue(), settings, None, tmp_path)
