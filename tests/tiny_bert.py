"""A tiny sentence transformer for tests, and BERT in numpy to compare engines with."""

import importlib.util
import json
import math
import struct
from pathlib import Path

import numpy as np
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors

WORDS = (
    *("the", "cat", "sat", "on", "a", "mat", "and", "dog", "ate", "its", "long", "red"),
    *("house", "river", "stone", "##s", "##ed", ",", "."),
)
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
WINDOW = 16
CONFIG = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "max_position_embeddings": 24,
    "layer_norm_eps": 1e-12,
    "vocab_size": len(VOCABULARY),
    "type_vocab_size": 2,
}


def write_tiny(folder):
    """Write a sentence transformer with random weights; returns the path of its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": WINDOW}))
    _tokenizer().save(str(folder / "tokenizer.json"))
    path = folder / "model.safetensors"
    write_safetensors(path, _random_arrays(np.random.default_rng(7)))
    return path


def write_gguf(source, path):
    """Write the sentence transformer at ``source`` in llama.cpp's form; returns the path."""
    program = Path(__file__).parents[1] / "bench" / "minilm_gguf.py"
    spec = importlib.util.spec_from_file_location("minilm_gguf", program)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.write(source, path)
    return path


def write_safetensors(path, arrays):
    header, place = {}, 0
    for name, array in arrays.items():
        end = place + array.nbytes
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [place, end]}
        place = end
    written = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    body = b"".join(array.tobytes() for array in arrays.values())
    path.write_bytes(struct.pack("<Q", len(written)) + written + body)


def _tokenizer():
    vocabulary = {word: number for number, word in enumerate(VOCABULARY)}
    tokenizer = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    marks = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=marks
    )
    tokenizer.enable_truncation(4)  # what a file says here must not matter
    return tokenizer


def _random_arrays(chance):
    width, wide = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    shapes = {
        "embeddings.word_embeddings.weight": (CONFIG["vocab_size"], width),
        "embeddings.position_embeddings.weight": (CONFIG["max_position_embeddings"], width),
        "embeddings.token_type_embeddings.weight": (2, width),
        **_norm("embeddings.LayerNorm", width),
    }
    for number in range(CONFIG["num_hidden_layers"]):
        layer = f"encoder.layer.{number}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            shapes |= _dense(f"{layer}.attention.{part}", width, width)
        shapes |= _dense(f"{layer}.intermediate.dense", width, wide)
        shapes |= _dense(f"{layer}.output.dense", wide, width)
        shapes |= _norm(f"{layer}.attention.output.LayerNorm", width)
        shapes |= _norm(f"{layer}.output.LayerNorm", width)
    return {name: _random(chance, shape) for name, shape in shapes.items()}


def _random(chance, shape):
    return (chance.standard_normal(shape) * 0.3).astype(np.float32)


def _dense(name, inside, outside):
    return {f"{name}.weight": (outside, inside), f"{name}.bias": (outside,)}


def _norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


class Reference:
    """The model as its paper has it: one text at a time, in double precision."""

    def __init__(self, weights):
        self.config = json.loads(weights.with_name("config.json").read_text())
        self.tokenizer = tokenizers.Tokenizer.from_file(str(weights.with_name("tokenizer.json")))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.arrays = read_safetensors(weights)

    def embed(self, text):
        """Return the vector of a text that fits into the window."""
        mean = self.hidden(self.tokenizer.encode(text).ids).mean(axis=0)
        return mean / np.linalg.norm(mean)

    def hidden(self, tokens):
        """Return the last layer's vectors of tokens with their marks."""
        get = self.arrays.__getitem__
        value = get("embeddings.word_embeddings.weight")[tokens]
        value = value + get("embeddings.position_embeddings.weight")[: len(tokens)]
        value = value + get("embeddings.token_type_embeddings.weight")[0]
        value = self._norm("embeddings.LayerNorm", value)
        for number in range(self.config["num_hidden_layers"]):
            value = self._layer(f"encoder.layer.{number}", value)
        return value

    def _layer(self, layer, value):
        attended = self._dense(f"{layer}.attention.output.dense", self._attention(layer, value))
        value = self._norm(f"{layer}.attention.output.LayerNorm", value + attended)
        wide = gelu(self._dense(f"{layer}.intermediate.dense", value))
        return self._norm(
            f"{layer}.output.LayerNorm", value + self._dense(f"{layer}.output.dense", wide)
        )

    def _attention(self, layer, value):
        heads = self.config["num_attention_heads"]
        query, key, content = (
            self._dense(f"{layer}.attention.self.{part}", value)
            .reshape(len(value), heads, -1)
            .swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1])
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        return (weights @ content).swapaxes(0, 1).reshape(len(value), -1)

    def _dense(self, name, value):
        return value @ self.arrays[f"{name}.weight"].T + self.arrays[f"{name}.bias"]

    def _norm(self, name, value):
        centred = value - value.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self.config["layer_norm_eps"])
        return centred / spread * self.arrays[f"{name}.weight"] + self.arrays[f"{name}.bias"]


def gelu(value):
    return value * (1 + np.vectorize(math.erf)(value / math.sqrt(2))) / 2


def read_safetensors(path):
    data = path.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    return {
        name: np.frombuffer(
            data[8 + size + entry["data_offsets"][0] : 8 + size + entry["data_offsets"][1]],
            np.float32,
        )
        .reshape(entry["shape"])
        .astype(np.float64)
        for name, entry in header.items()
        if name != "__metadata__" and entry["dtype"] == "F32"
    }


def binding(folder):
    """Return the part of a ``freehold.toml`` that binds OpenAI's embedding ids to the model."""
    weights = write_tiny(folder)
    return f"""
[models."text-embedding-*"]
kind = "embedding"
backend = "minilm"
weights = "{weights}"
"""
