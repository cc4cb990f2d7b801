"""OpenAI's token ids mean what they mean at OpenAI."""

from typing import get_args

import pytest

from freehold.data.models import VocabularyName
from freehold.data.vocabulary import Vocabulary


@pytest.mark.parametrize(
    ("name", "ids", "text"),
    [
        ("cl100k_base", [64], b"a"),
        ("cl100k_base", [15339, 1917], b"hello world"),
        ("o200k_base", [64], b"a"),
        ("o200k_base", [24912, 2375], b"hello world"),
        ("p50k_base", [31373, 995], b"hello world"),
        ("r50k_base", [31373, 995], b"hello world"),
    ],
)
def test_ids_decode_to_their_text(name, ids, text):
    assert Vocabulary.load(name).decode(ids) == text


def test_special_tokens_have_their_names():
    assert Vocabulary.load("cl100k_base").bytes_of(100257) == b"<|endoftext|>"
    assert Vocabulary.load("o200k_base").bytes_of(199999) == b"<|endoftext|>"
    assert Vocabulary.load("o200k_base").bytes_of(200018) == b"<|endofprompt|>"


@pytest.mark.parametrize("token_id", [-1, 100256, 100277, 10**9])
def test_unused_ids_have_no_bytes(token_id):
    assert Vocabulary.load("cl100k_base").bytes_of(token_id) is None


def test_decoding_an_unused_id_names_it():
    with pytest.raises(KeyError, match="100256"):
        Vocabulary.load("cl100k_base").decode([64, 100256])


@pytest.mark.parametrize("name", get_args(VocabularyName))
def test_each_vocabulary_holds_every_single_byte(name):
    table = Vocabulary.load(name)
    tokens = {table.bytes_of(i) for i in range(len(table))}
    assert {bytes([b]) for b in range(256)} <= tokens


def test_a_table_is_read_once():
    assert Vocabulary.load("r50k_base") is Vocabulary.load("r50k_base")
