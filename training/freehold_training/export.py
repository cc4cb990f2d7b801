"""Writes what was learnt as an adapter that llama.cpp loads."""

# pyright: reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# Checked without torch and gguf, which are only in the extra `train`.

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freehold_training import base
from freehold_training.settings import Settings

Update = tuple[str, NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Card:
    """What the file says of itself."""

    name: str
    base: str
    licence: str
    licence_link: str


def export(settings: Settings, base_path: Path, run: Path, to: Path) -> None:
    """Write the adapter of a run's last checkpoint."""
    import torch  # noqa: PLC0415 - only in the extra `train`

    from freehold_training.model import Model  # noqa: PLC0415 - as above
    from freehold_training.tune import CHECKPOINT  # noqa: PLC0415 - as above

    held = base.read(base_path)
    state = torch.load(run / CHECKPOINT, map_location="cpu", weights_only=True)
    rank, alpha = state["settings"]["rank"], state["settings"]["alpha"]
    weights = {name: torch.from_numpy(array) for name, array in held.weights.items()}
    model = Model(held.shape, weights, rank, alpha)
    model.load_state_dict(state["adapter"])
    updates: list[Update] = [
        (name, a.detach().numpy(), b.detach().numpy()) for name, a, b in model.updates()
    ]
    card = Card(
        settings.name, held.name, "cc-by-4.0", "https://creativecommons.org/licenses/by/4.0/"
    )
    write(to, tensors(updates, held.shape), alpha, card)


def tensors(updates: Iterable[Update], shape: base.Shape) -> dict[str, NDArray[np.float16]]:
    """Return the file's tensors: ``a`` (rank, inputs) and ``b`` (outputs, rank) of each matrix.

    Rows of q and k are in GGUF's order. Raises ``ValueError`` for a number float16 cannot hold.
    """
    named: dict[str, NDArray[np.float16]] = {}
    for name, a, b in updates:
        named[f"{name}.weight.lora_a"] = _half(name, a)
        named[f"{name}.weight.lora_b"] = _half(name, _rows(name, b, shape))
    return named


def _rows(name: str, b: NDArray[np.float32], shape: base.Shape) -> NDArray[np.float32]:
    heads = {"attn_q": shape.heads, "attn_k": shape.key_heads}.get(name.rsplit(".", 1)[1])
    return b if heads is None else base.interleave(b, heads)


def _half(name: str, values: NDArray[np.float32]) -> NDArray[np.float16]:
    half = values.astype(np.float16)
    if not np.isfinite(half).all():
        raise ValueError(f"{name} holds a number that is too large or none at all")
    return half


def write(to: Path, named: dict[str, NDArray[np.float16]], alpha: float, card: Card) -> None:
    """Write the file whole or not at all."""
    import gguf  # noqa: PLC0415 - only in the extra `train`

    to.parent.mkdir(parents=True, exist_ok=True)
    partial = to.with_suffix(".part")
    writer: Any = gguf.GGUFWriter(partial, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    writer.add_name(card.name)
    writer.add_license(card.licence)
    writer.add_license_link(card.licence_link)
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, card.base)
    for name, values in named.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(to)
