"""Pictures: scored for `sexual` only, and what is written in them is read."""

from dataclasses import replace

import pytest

from drawn import animated, data_url, drawn
from freehold.engines.pictures import DamagedError
from freehold.engines.viewer import Facts
from hostile import fetcher, hostile_server


class Eyes:
    """Stands for the viewer: every picture has the same facts."""

    def __init__(self, facts):
        self.facts_of_all = facts

    async def require_scores(self):
        return "open-nsfw.onnx"

    async def facts(self, _image):
        if self.facts_of_all is None:
            raise DamagedError
        return self.facts_of_all


def picture(data=None):
    return {"type": "image_url", "image_url": {"url": data_url(data or drawn("red"))}}


def said(text):
    return {"type": "text", "text": text}


def seeing(moderations, facts):
    """Let every picture have these facts."""
    api = moderations.server.server.api
    api.services = replace(api.services, viewer=Eyes(facts))
    return moderations


@pytest.mark.parametrize(("score", "applies"), [(0.9, True), (0.1, False)])
async def test_a_picture_is_scored_for_sexual_only(moderations, score, applies):
    seeing(moderations, Facts("png", 64, 48, sexual=score))
    (result,) = await moderations.results([picture()])
    assert result["flagged"] is applies
    assert result["categories"]["sexual"] is applies
    assert result["category_scores"]["sexual"] == score
    kinds = result["category_applied_input_types"]
    assert kinds.pop("sexual") == ["image"]
    assert all(not found for found in kinds.values())
    assert result["category_scores"]["violence"] == 0.0


async def test_text_and_picture_have_one_result_with_the_higher_score(moderations):
    seeing(moderations, Facts("png", 64, 48, sexual=0.3))
    (result,) = await moderations.results([said("sexual=0.8 hate=0.1"), picture()])
    assert result["category_scores"]["sexual"] == 0.8
    assert result["category_applied_input_types"]["sexual"] == ["text", "image"]
    assert result["category_applied_input_types"]["hate"] == ["text"]


async def test_what_is_written_in_a_picture_is_read(moderations):
    seeing(moderations, Facts("png", 64, 48, text="hate=0.9", sexual=0.01))
    (result,) = await moderations.results([said("fine"), picture()])
    assert result["categories"]["hate"]
    assert await moderations.asked() == ["fine", "hate=0.9"]


async def test_a_picture_behind_a_url_is_fetched(moderations):
    seeing(moderations, Facts("png", 64, 48, sexual=0.9))
    api = moderations.server.server.api
    async with hostile_server() as hostile:
        api.services = replace(api.services, fetcher=fetcher())
        url = hostile.page("/red.png", drawn("red"), "Content-Type: image/png")
        (result,) = await moderations.results([{"type": "image_url", "image_url": {"url": url}}])
    assert result["categories"]["sexual"]


async def test_addresses_inside_are_not_fetched(moderations):
    seeing(moderations, Facts("png", 64, 48, sexual=0.9))
    inside = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/x.png"}}
    error = await moderations.refused([inside])
    assert (error["code"], error["param"]) == ("invalid_image_url", "input[0].image_url")


@pytest.mark.parametrize(
    ("facts", "data", "code"),
    [
        (Facts("png", 64, 48, sexual=0.9), animated(), "invalid_image_format"),
        (None, drawn("red"), "image_parse_error"),
        (Facts("png", 64, 48), drawn("red"), "image_parse_error"),
    ],
    ids=["animated", "damaged", "too much to decode"],
)
async def test_what_is_no_picture_is_refused_at_its_place(moderations, facts, data, code):
    seeing(moderations, facts)
    error = await moderations.refused([said("fine"), picture(data)])
    assert (error["code"], error["param"]) == (code, "input[1].image_url")
