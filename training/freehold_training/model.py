"""A Llama with frozen weights and low-rank updates, lean enough to be tuned on one thread."""

# pyright: reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUntypedBaseClass=false, reportUntypedFunctionDecorator=false
# Checked without torch, which is only in the extra `train`.

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from freehold_training.base import Shape
from freehold_training.operations import Attention, Gate, RMSNorm, Rotation, UpdatedLinear

Tensor = Any
# Of the positions that are learnt, so many at a time meet the whole vocabulary.
_HEAD_ROWS = 512


class LowRank(nn.Module):
    """Frozen matrices with a common input, stacked, and the update that each of them learns.

    ``a`` is (parts x rank, inputs) and ``b`` is (all outputs, rank), both float32. ``merge`` must
    be called whenever they have changed.
    """

    def __init__(self, parts: Mapping[str, Tensor], rank: int, scale: float) -> None:
        super().__init__()
        self.names = list(parts)
        self.sizes = [len(part) for part in parts.values()]
        self.scale = scale
        self.register_buffer("base", torch.cat(list(parts.values())), persistent=False)
        inputs = self.base.shape[1]
        self.a = nn.Parameter(torch.empty(len(parts) * rank, inputs, dtype=torch.float32))
        self.b = nn.Parameter(torch.zeros(len(self.base), rank, dtype=torch.float32))
        nn.init.uniform_(self.a, -(inputs**-0.5), inputs**-0.5)
        self.register_buffer("merged", self.base.clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return UpdatedLinear.apply(x, self.a, self.b, self)

    @torch.no_grad()
    def merge(self) -> None:
        """Add what has been learnt to the weights that ``forward`` uses."""
        row = 0
        for a, b in zip(self.a.chunk(len(self.sizes)), self.b.split(self.sizes), strict=True):
            part = self.base[row : row + len(b)]
            torch.addmm(
                part,
                b.to(part.dtype),
                a.to(part.dtype),
                alpha=self.scale,
                out=self.merged[row : row + len(b)],
            )
            row += len(b)

    def updates(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Yield each matrix's name, its ``a`` (rank, inputs) and its ``b`` (outputs, rank)."""
        yield from zip(
            self.names, self.a.chunk(len(self.sizes)), self.b.split(self.sizes), strict=True
        )


class Layer(nn.Module):
    """Attention, then the feed-forward part."""

    def __init__(
        self, number: int, shape: Shape, weights: Mapping[str, Tensor], rank: int, scale: float
    ) -> None:
        super().__init__()
        self._shape = shape
        name = f"blk.{number}."

        def stacked(*parts: str) -> LowRank:
            named = {f"{name}{part}": weights[f"{name}{part}.weight"] for part in parts}
            return LowRank(named, rank, scale)

        self.qkv = stacked("attn_q", "attn_k", "attn_v")
        self.out = stacked("attn_output")
        self.gate_up = stacked("ffn_gate", "ffn_up")
        self.down = stacked("ffn_down")
        for norm in ("attn_norm", "ffn_norm"):
            self.register_buffer(norm, weights[f"{name}{norm}.weight"].float(), persistent=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        shape = self._shape
        normal = RMSNorm.apply(x, self.attn_norm, shape.epsilon)
        heads = self.qkv(normal).unflatten(-1, (-1, shape.head_width)).transpose(1, 2)
        turned = Rotation.apply(heads[:, : -shape.key_heads], cos, sin)
        q, k = turned.split([shape.heads, shape.key_heads], 1)
        seen = Attention.apply(q, k, heads[:, -shape.key_heads :])
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        normal = RMSNorm.apply(x, self.ffn_norm, shape.epsilon)
        return x + self.down(Gate.apply(self.gate_up(normal)))


class Model(nn.Module):
    """The whole model; ``weights`` as ``Base`` has them."""

    def __init__(
        self, shape: Shape, weights: Mapping[str, Tensor], rank: int, alpha: float
    ) -> None:
        super().__init__()
        self._shape = shape
        embedding = weights["token_embd.weight"]
        self.register_buffer("embedding", embedding, persistent=False)
        self.register_buffer("head", weights.get("output.weight", embedding), persistent=False)
        self.register_buffer("norm", weights["output_norm.weight"].float(), persistent=False)
        self.layers = nn.ModuleList(
            Layer(number, shape, weights, rank, alpha / rank) for number in range(shape.layers)
        )

    def forward(self, ids: Tensor) -> Tensor:
        """Return the last hidden states (batch, tokens, width) of ids padded on the right."""
        x = functional.embedding(ids, self.embedding)
        cos, sin = self._turns(ids.shape[1])
        for layer in self.layers:
            x = layer(x, cos, sin)
        return RMSNorm.apply(x, self.norm, self._shape.epsilon)

    def logits(self, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self.head)

    def learn(self, ids: Tensor, learnt: Tensor, weight: float) -> float:
        """Add the gradients of the loss, summed over learnt tokens and times ``weight``.

        ``learnt`` marks the ids that the model has to predict. Returns the sum itself.
        """
        hidden = self(ids)[:, :-1][learnt[:, 1:]]
        total, slope = self._loss(hidden.detach(), ids[:, 1:][learnt[:, 1:]], weight)
        hidden.backward(slope)
        return total

    @torch.no_grad()
    def loss(self, ids: Tensor, learnt: Tensor) -> float:
        """Return the loss summed over the ids marked as learnt."""
        hidden = self(ids)[:, :-1][learnt[:, 1:]]
        return self._loss(hidden, ids[:, 1:][learnt[:, 1:]], None)[0]

    def merge(self) -> None:
        """Take over what the updates have become; needed before ``forward``."""
        for module in self._low_ranks():
            module.merge()

    def updates(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Yield every matrix's name, ``a`` and ``b``."""
        for module in self._low_ranks():
            yield from module.updates()

    def _low_ranks(self) -> Iterator[LowRank]:
        return (module for module in self.modules() if isinstance(module, LowRank))

    @torch.no_grad()
    def _loss(self, hidden: Tensor, targets: Tensor, weight: float | None) -> tuple[float, Tensor]:
        """Return the summed loss and, given a weight, its gradient; few rows at a time."""
        slope = torch.empty_like(hidden) if weight is not None else None
        total = 0.0
        for start in range(0, len(hidden), _HEAD_ROWS):
            rows = slice(start, start + _HEAD_ROWS)
            logs = functional.log_softmax(self.logits(hidden[rows]).float(), -1)
            right = targets[rows, None]
            total -= logs.gather(1, right).sum().item()
            if slope is not None:
                error = logs.exp_().scatter_add_(1, right, logs.new_full(right.shape, -1))
                slope[rows] = (error.mul_(weight).to(hidden.dtype)) @ self.head
        return total, slope

    def _turns(self, tokens: int) -> Sequence[Tensor]:
        """Return cosine and sine (tokens, half a head's width) of each position's turn."""
        width, device = self._shape.head_width, self.embedding.device
        steps = torch.arange(0, width, 2, dtype=torch.float32, device=device) / width
        angles = torch.outer(
            torch.arange(tokens, dtype=torch.float32, device=device),
            self._shape.rope_base**-steps,
        )
        return angles.cos().to(self.embedding.dtype), angles.sin().to(self.embedding.dtype)
