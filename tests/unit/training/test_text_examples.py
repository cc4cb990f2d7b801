import json
import lzma
import re
from itertools import islice, pairwise
from pathlib import Path
from random import Random

import jsonschema
import pytest

import freehold
from freehold_training import corpus
from freehold_training.generators import chat, chat_tasks, json_answers, memory, quotes, reading
from freehold_training.generators.chat_judged import judged
from freehold_training.generators.reading_layouts import laid_out
from freehold_training.generators.reading_stories import story_answer
from freehold_training.generators.reading_texts import passage
from freehold_training.generators.reading_topics import topics
from freehold_training.judge import judge
from freehold_training.judge_text import declines, holds
from freehold_training.pools.text_values import draw, values
from freehold_training.prompt import Renderer

TEMPLATE = Path(freehold.__file__).parent / "data" / "templates" / "smollm2.jinja"
GENERATORS = {
    **reading.GENERATORS,
    **json_answers.GENERATORS,
    **memory.GENERATORS,
    **chat.GENERATORS,
    **quotes.GENERATORS,
}
ITEMS = {**reading.ITEMS, **json_answers.ITEMS, **memory.ITEMS}
ROWS = sorted(GENERATORS)
COUNT = 150


@pytest.fixture(autouse=True)
def no_corpus(monkeypatch):
    monkeypatch.delenv(corpus.FOLDER, raising=False)


def seeded(seed):
    return Random(seed)  # noqa: S311 - examples, not secrets


def examples(row, split="train", count=COUNT, seed=7):
    return list(islice(GENERATORS[row](seeded(seed), split), count))


def items(row, count=COUNT, seed=7):
    return list(islice(ITEMS[row](seeded(seed)), count))


def asked(messages):
    return {message["content"] for message in messages if message["role"] == "user"}


@pytest.mark.parametrize("row", ROWS)
def test_the_same_seed_gives_the_same_examples(row):
    assert examples(row, count=20) == examples(row, count=20)
    assert examples(row, count=20) != examples(row, count=20, seed=8)


@pytest.mark.parametrize("row", sorted(ITEMS))
def test_the_same_seed_gives_the_same_items_each_with_an_id_of_its_own(row):
    found = items(row)
    assert found == items(row)
    assert len({item["id"] for item in found}) == COUNT
    assert {item["row"] for item in found} == {row}


@pytest.mark.parametrize("row", ROWS)
def test_every_answer_of_an_example_is_learnt_as_the_server_shows_it(row):
    renderer = Renderer(TEMPLATE)
    for example in examples(row):
        learnt = [text for text, wanted in renderer.pieces(example) if wanted]
        answers = [m["content"] for m in example["messages"] if m["role"] == "assistant"]
        assert learnt == [f"{answer}<|im_end|>" for answer in answers]
        assert all(answers)


@pytest.mark.parametrize("row", ROWS)
def test_examples_are_short(row):
    renderer = Renderer(TEMPLATE)
    lengths = [
        sum(len(text) for text, _ in renderer.pieces(example)) / 4 for example in examples(row)
    ]
    assert max(lengths) <= 1100
    assert sum(lengths) / len(lengths) < (420 if row in ("reading", "quotes") else 350)


@pytest.mark.parametrize("row", ROWS)
def test_about_half_of_the_conversations_have_no_system_message(row):
    plain = [one for one in examples(row) if one["messages"][0]["role"] == "user"]
    assert 0.3 < len(plain) / COUNT < 0.65


@pytest.mark.parametrize("row", ["json", "memory", "reading"])
def test_nothing_that_is_asked_in_the_evaluation_is_asked_in_training(row):
    learnt = {
        question for example in examples(row, count=600) for question in asked(example["messages"])
    }
    kept = [item for each in ITEMS if each.startswith(row) for item in items(each)]
    last = {item["messages"][-1]["content"] for item in kept}
    assert not last & learnt


def test_values_are_in_one_split_only():
    for name in ("first", "last", "city", "product", "job", "food", "hobby", "pet"):
        assert not set(values(name, "train")) & set(values(name, "held_out"))
    for kind in ("word", "code", "pin", "year", "person", "company", "phone"):
        learnt, kept = (
            {draw(kind, seeded(seed), split) for seed in range(400)}
            for split in ("train", "held_out")
        )
        assert not learnt & kept


def test_the_wordings_of_the_evaluation_are_not_learnt():
    learnt = {wording for thing in memory.things("train") for wording in (*thing.say, *thing.ask)}
    kept = {wording for thing in memory.things("held_out") for wording in (*thing.say, *thing.ask)}
    assert not learnt & kept
    assert not {t.name for t in topics("train")} & {t.name for t in topics("held_out")}
    told = {split: _layouts(split) for split in ("train", "held_out")}
    assert not told["train"] & told["held_out"]


def _layouts(split):
    """Return the layouts of a split, with the text and the question taken out."""
    random = seeded(3)
    one = passage(random, split)
    found = [laid_out([one], ["QQQ"], random, split) for _ in range(300)]
    with_text = [m["content"] for messages in found for m in messages if one.text in m["content"]]
    return {text.replace(one.text, "TTT") for text in with_text}


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_what_a_text_tells_is_in_it_and_what_it_does_not_tell_is_not(split):
    random = seeded(5)
    for topic in [topic for topic in topics(split) for _ in range(6)]:
        one = passage(random, split, topic)
        main = one.text.replace(one.aside, "")
        assert one.told
        assert one.untold
        assert all(holds(one.text, question.value) for question in one.told)
        assert all(holds(question.answer, question.value) for question in one.told)
        for question in one.untold:
            assert declines(question.answer, one.text) is None
            assert not [part for part in _said(question.answer, topic, one) if part in main]


def _said(answer, topic, one):
    """Return the fixed parts of the sentences that would have told what an answer misses."""
    for fact in topic.facts:
        if answer.endswith(f"say {fact.unsaid.format(s=one.named)}."):
            parts = [part for say in fact.say for part in re.split(r"\{\w+\}", say)]
            yield from (part for part in parts if len(part) > 16)


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_no_two_facts_of_a_topic_are_asked_for_in_the_same_words(split):
    for topic in topics(split):
        asked = [ask for fact in topic.facts for ask in fact.ask]
        assert len(asked) == len(set(asked)), topic.name
        unsaid = [fact.unsaid for fact in topic.facts]
        assert len(unsaid) == len(set(unsaid)), topic.name


def test_there_are_many_topics_to_learn_from_and_others_to_be_judged_by():
    assert len(topics("train")) >= 45
    assert len(topics("held_out")) >= 10


def test_a_statement_is_confirmed_or_put_right_by_what_the_text_says():
    random = seeded(9)
    passages = [passage(random, "train") for _ in range(400)]
    checked = [(one, asked) for one in passages for asked in one.told if _yes_or_no(asked)]
    assert {asked.answer.split(",")[0] for _, asked in checked} == {"Yes", "No"}
    for one, asked in checked:
        assert holds(asked.question, asked.value) == asked.answer.startswith("Yes")
        assert holds(asked.answer, asked.value)
        assert holds(one.text, asked.value)


def _yes_or_no(asked):
    return asked.answer.startswith(("Yes, ", "No, "))


def test_about_one_question_in_ten_is_not_answered_by_the_text_and_seldom_two_in_a_row():
    unsaid = [
        [
            m["content"].startswith("The text do")
            for m in one["messages"]
            if m["role"] == "assistant"
        ]
        for one in examples("reading", count=600)
    ]
    answers = [each for one in unsaid for each in one]
    assert 0.06 < sum(answers) / len(answers) < 0.14
    twice = sum(one and two for each in unsaid for one, two in pairwise(each))
    assert twice / len(answers) < 0.02


def test_what_is_quoted_stands_in_the_text_and_what_is_not_mentioned_does_not():
    random = seeded(6)
    windows = [quotes.piece(random, "train")[1] for _ in range(300)]
    asked = [(window, one) for window in windows for one in quotes.questions(window, random)]
    missed = [(window, one) for window, one in asked if "does not mention" in one.answer]
    assert 0.02 < len(missed) / len(asked) < 0.2
    for window, one in asked:
        text = " ".join(window.text.split())
        if word := re.search(r"does not mention (\S+)\.$", one.answer):
            assert not holds(text, word[1])
        else:
            assert one.answer.removeprefix("Yes: ").strip('"') in text


@pytest.mark.parametrize(
    ("question", "answer", "told"),
    [
        ("Who gave the boy a knife?", "The old witch.", "The old witch gave the boy a knife."),
        ("Who was the boy's aunt?", "The old witch.", "The old witch."),
        ("How did the king feel about it?", "Very angry.", "The king felt very angry."),
        ("How did the king feel?", "His heart broke.", "His heart broke."),
        ("Where was the ring?", "In the well", "The ring was in the well."),
        ("Why did she cry?", "Because of the ring", "Because of the ring."),
        ("Who did he meet?", "A fox", "A fox."),
    ],
)
def test_an_answer_on_a_story_becomes_a_sentence_only_where_that_is_one(question, answer, told):
    assert story_answer(question, answer) == told


@pytest.mark.parametrize("row", ["reading", "memory"])
def test_what_an_answer_has_to_hold_was_said_before(row):
    for item in items(row):
        said = "\n".join(message["content"] for message in item["messages"])
        for accepted in item["expect"]["contains"]:
            assert holds(said, accepted[0])
        assert item["messages"][-1]["role"] == "user"


def test_texts_of_the_evaluation_are_long():
    for row in ("reading", "reading_absent"):
        for item in items(row):
            told = " ".join(message["content"] for message in item["messages"])
            assert 150 <= len(told.split()) <= 650


@pytest.mark.parametrize("row", ["memory", "reading", "reading_absent"])
def test_a_right_answer_passes_the_judge_and_another_does_not(row):
    for item in items(row, count=40):
        values = [accepted[0] for accepted in item["expect"].get("contains", ())]
        right = f"It is {' and '.join(values)}." if values else "The text does not say."
        assert judge(item, {"content": right}).passed
        assert not judge(item, {"content": "It is Nobody."}).passed


def test_a_json_answer_follows_its_schema():
    with_schema = [one for one in examples("json", count=400) if _schema(one)]
    assert len(with_schema) > 200
    for example in with_schema:
        answer = json.loads(example["messages"][-1]["content"])
        jsonschema.validate(answer, _schema(example))
        assert list(answer) == list(_schema(example)["properties"])


def _schema(example):
    return example.get("response_format", {}).get("json_schema", {}).get("schema")


def test_the_json_of_an_item_follows_its_schema_and_copies_what_was_said():
    for item in items("json"):
        expected = item["expect"]["json"]
        jsonschema.validate(expected, _schema(item))
        said = item["messages"][-1]["content"]
        strict = [value for value in _leaves(expected) if isinstance(value, str)]
        named = [value for value in strict if value not in _enums(_schema(item))]
        assert all(holds(said, value) for value in named)


def _leaves(value):
    if isinstance(value, dict):
        return [leaf for child in value.values() for leaf in _leaves(child)]
    return (
        [leaf for child in value for leaf in _leaves(child)] if isinstance(value, list) else [value]
    )


def _enums(schema):
    return {label for each in schema["properties"].values() for label in each.get("enum", ())}


@pytest.mark.parametrize("row", ["chat", "memory"])
def test_no_question_of_the_evaluation_is_learnt_in_the_chat(row):
    told = [question for one in examples(row, count=500) for question in asked(one["messages"])]
    assert judged("What is the opposite of hot?")
    assert judged("Capital of France?")
    assert not judged("What is the opposite of wide?")
    if row == "chat":
        assert not any(judged(question) for question in told)
    assert "What is 7 plus 5?" not in told


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_the_last_answer_on_the_user_holds_everything_that_was_asked_for(split):
    random = seeded(4)
    for made in (memory.made_chat(random, split) for _ in range(400)):
        answer = made.exchanges[-1][1]
        assert all(holds(answer, value) for value in made.values)


def write_rows(folder, name, *rows):
    with lzma.open(folder / f"{name}.jsonl.xz", "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)


def test_published_texts_are_learnt_from_where_a_folder_with_them_is_named(tmp_path, monkeypatch):
    record = {"country": "Elbonia", "capital": "Mudgate", "area": "12 sq km", "climate": "wet"}
    places = [{"rec": {**record, "country": f"Elbonia {n}"}, "text": ""} for n in range(40)]
    places += [{"rec": {"country": f"Nowhere {n}"}, "text": ""} for n in range(40)]
    write_rows(tmp_path, "factbook", *places)
    monkeypatch.setenv(corpus.FOLDER, str(tmp_path))
    found = examples("reading")
    assert {one["source"] for one in found} == {"own", "factbook"}
    assert "Nowhere" not in json.dumps(found)


def test_texts_are_quoted_from_however_few_are_at_hand(tmp_path, monkeypatch):
    text = (
        "The miller walked to the old bridge in the morning and counted seven grey herons there. "
    )
    write_rows(tmp_path, "fairytale_stories", *({"text": text * n} for n in (2, 3, 4)))
    monkeypatch.setenv(corpus.FOLDER, str(tmp_path))
    random = seeded(2)
    assert {quotes.piece(random, "train")[0] for _ in range(60)} == {"own", "fairytale_stories"}


def test_a_long_list_names_nothing_twice():
    random = seeded(3)
    for _, answer in (chat_tasks._long_listing(random, "train") for _ in range(200)):
        named = [line.split(" ", 1)[1] for line in answer.splitlines()]
        assert 6 <= len(named) == len(set(named))


def test_without_the_folder_only_our_own_texts_are_learnt():
    assert corpus.rows("wordnet") == []
    assert {one["source"] for row in ROWS for one in examples(row, count=40)} == {"own"}


def test_a_source_whose_licence_is_not_listed_is_refused():
    with pytest.raises(KeyError):
        corpus.rows("wiki")
