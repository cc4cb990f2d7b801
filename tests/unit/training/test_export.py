import numpy as np
import pytest

from freehold_training.base import Shape, gguf_name, interleave, split_halves
from freehold_training.export import tensors

SHAPE = Shape(layers=1, heads=2, key_heads=1, head_width=4, rope_base=1e4, epsilon=1e-5)


def update(name, *, value=1.0):
    outputs = {"attn_q": 8, "attn_k": 4}.get(name, 6)
    b = np.arange(outputs * 2, dtype=np.float32).reshape(outputs, 2) * value
    return f"blk.0.{name}", np.ones((2, 8), np.float32), b


def test_every_matrix_gives_two_tensors_of_sixteen_bits():
    named = tensors([update("ffn_up")], SHAPE)
    assert {name: (array.shape, str(array.dtype)) for name, array in named.items()} == {
        "blk.0.ffn_up.weight.lora_a": ((2, 8), "float16"),
        "blk.0.ffn_up.weight.lora_b": ((6, 2), "float16"),
    }


def test_rows_of_q_and_k_that_turn_together_stand_together():
    q = tensors([update("attn_q")], SHAPE)["blk.0.attn_q.weight.lora_b"]
    assert (q[:, 0] / 2).tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    k = tensors([update("attn_k")], SHAPE)["blk.0.attn_k.weight.lora_b"]
    assert (k[:, 0] / 2).tolist() == [0, 2, 1, 3]


def test_rows_of_other_matrices_stay_in_order():
    v = tensors([update("attn_v")], SHAPE)["blk.0.attn_v.weight.lora_b"]
    assert (v[:, 0] / 2).tolist() == list(range(6))


def test_reading_and_writing_a_matrix_leaves_its_rows_as_they_were():
    rows = np.arange(48).reshape(24, 2)
    assert np.array_equal(interleave(split_halves(rows, 3), 3), rows)


@pytest.mark.parametrize("value", [1e9, float("nan")])
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_a_number_that_sixteen_bits_cannot_hold_is_refused(value):
    with pytest.raises(ValueError, match=r"blk\.0\.ffn_up"):
        tensors([update("ffn_up", value=value)], SHAPE)


@pytest.mark.parametrize(
    ("folder", "gguf"),
    [
        ("model.embed_tokens.weight", "token_embd.weight"),
        ("model.layers.12.self_attn.q_proj.weight", "blk.12.attn_q.weight"),
        ("model.layers.0.post_attention_layernorm.weight", "blk.0.ffn_norm.weight"),
    ],
)
def test_tensors_of_a_folder_are_known_by_their_names_in_gguf(folder, gguf):
    assert gguf_name(folder) == gguf
