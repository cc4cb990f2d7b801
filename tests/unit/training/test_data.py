import dataclasses
from itertools import islice
from pathlib import Path

import pytest

from freehold_training.base import byte_pairs
from freehold_training.batches import Conversations, encode
from freehold_training.data import Mixture, found, table
from freehold_training.prompt import Renderer
from freehold_training.settings import Settings

SETTINGS = Settings.read(Path("training/settings.toml"))
# The characters that stand for bytes in a byte-level vocabulary, as far as they are needed here.
BYTES = [*(chr(byte) for byte in range(33, 127)), "Ġ", "Ċ"]
SPECIAL = ["<|im_start|>", "<|im_end|>"]


@pytest.fixture
def words():
    return byte_pairs([*SPECIAL, *BYTES, "he", "12"], ["h e", "1 2"], SPECIAL)


def example(answer, *, row="chat"):
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": answer}]
    return {"row": row, "source": "test", "messages": messages}


def mixture(words, **changes):
    data = dataclasses.replace(SETTINGS.data, **changes)
    return Mixture(dataclasses.replace(SETTINGS, data=data), words)


def numbered(random, _split):
    while True:
        yield example(f"answer {random.randrange(30)}")


def test_digits_are_tokens_of_their_own(words):
    assert words.encode("he 12").tokens == ["he", "Ġ", "1", "2"]


def test_only_what_the_model_writes_is_learnt(words):
    encoded = encode(example("yes"), Renderer(SETTINGS.template), words)
    learnt = [id_ for id_, mark in zip(encoded.ids, encoded.learnt, strict=True) if mark]
    assert words.decode(learnt, skip_special_tokens=False) == "yes<|im_end|>"


def test_an_example_is_drawn_once(words):
    drawn = list(mixture(words).draw("chat", numbered, "train", float("inf")))
    texts = [example["messages"][-1]["content"] for example, _ in drawn]
    assert sorted(texts) == sorted({f"answer {number}" for number in range(30)})


def test_a_row_ends_when_it_has_its_tokens(words):
    drawn = list(mixture(words).draw("chat", numbered, "train", 500))
    lengths = [len(encoded.ids) for _, encoded in drawn]
    assert sum(lengths[:-1]) < 500 <= sum(lengths)


def test_the_same_seed_draws_the_same(words):
    def draw():
        return list(islice(mixture(words).draw("chat", numbered, "train", 1e9), 5))

    assert draw() == draw()


def test_what_is_too_long_is_left_out(words):
    given = [example("x" * 500), example("short")]
    kept = [made for made, _ in mixture(words, longest=300).fresh(given)]
    assert kept == [example("short")]


def test_the_table_counts_rows_and_their_sum(words):
    renderer = Renderer(SETTINGS.template)
    made = [example("a"), example("b"), example("c", row="json")]
    lines = table(Conversations.of(encode(one, renderer, words) for one in made)).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["chat", "2"], ["json", "1"], ["all", "3"]]


def test_every_row_has_one_generator():
    assert {"chat", "json"} <= set(found())
