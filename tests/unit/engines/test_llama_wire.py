import json

import pytest

from freehold.engines.backends.llama_gguf import DamagedFileError, read_head
from freehold.engines.backends.llama_wire import read_line, request_fields, text_delta
from freehold.engines.base import Sampling
from servers import TINY


def fields(**sampling):
    return request_fields("Hi", Sampling(**sampling), None, 512)


def test_no_sampler_but_those_asked_for():
    assert fields()["samplers"] == ["temperature"]
    assert fields()["temperature"] == 1.0
    assert fields(temperature=0)["samplers"] == ["top_k"]
    assert fields(top_p=0.5)["samplers"] == ["temperature", "top_p"]
    assert fields(top_p=1)["samplers"] == ["temperature"]


def test_penalties_look_at_the_whole_window():
    given = fields(presence_penalty=1.0, frequency_penalty=-1.0)
    assert given["samplers"][0] == "penalties"
    assert [given[k] for k in ("presence_penalty", "frequency_penalty")] == [1.0, -1.0]
    assert (given["repeat_penalty"], given["repeat_last_n"]) == (1.0, 512)


@pytest.mark.parametrize("seed", [0, -1, 2**32 - 1, 2**63])
def test_every_seed_is_a_seed(seed):
    assert 0 <= fields(seed=seed)["seed"] < 2**32 - 1


def test_no_seed_is_left_to_chance():
    assert "seed" not in fields()


def test_bias_of_minus_100_bans():
    assert fields(logit_bias={5: -100.0, 6: 100.0, 7: 1.5})["logit_bias"] == [
        [5, False],
        [6, 100.0],
        [7, 1.5],
    ]


def test_logprobs_of_what_was_impossible_are_finite():
    other = {"token": "b", "bytes": [98], "logprob": None}
    token = {"token": "a", "bytes": [97], "logprob": -1e30, "top_logprobs": [other]}
    choice = {"text": "a", "logprobs": {"content": [token]}}
    (read,) = read_line(json.dumps({"choices": [choice]})).choices
    delta = text_delta(read, 1)
    assert [t.logprob for t in delta.logprobs] == [-9999.0]
    assert [t.logprob for t in delta.logprobs[0].top] == [-9999.0]


def test_head_of_a_model_file_is_read():
    head = read_head(TINY)
    assert head.trained_context == 1024
    assert "<|im_start|>" in head.control_tokens
    assert "<tool_call>" in head.template
    assert head.eos_token in head.control_tokens


@pytest.mark.parametrize("version", [0, 1, 99])
def test_unknown_version_of_the_file_is_named(tmp_path, version):
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF" + version.to_bytes(4, "little") + bytes(32))
    with pytest.raises(DamagedFileError, match=str(version)):
        read_head(file)


def test_head_with_impossible_lengths_is_damaged(tmp_path):
    file = tmp_path / "m.gguf"
    head = TINY.read_bytes()[:64]
    file.write_bytes(head[:24] + b"\xff" * 40)
    with pytest.raises(DamagedFileError):
        read_head(file)
