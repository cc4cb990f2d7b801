"""The parts of a Llama whose gradients are written out: less work and memory than torch's own.

What is frozen gets no gradient, and what can be had again cheaply is not kept.
"""

# pyright: reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUntypedBaseClass=false
# Checked without torch, which is only in the extra `train`.

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch.autograd import Function
from torch.nn import functional

Tensor = Any


class Matrices(Protocol):
    """Stacked matrices; ``merged`` is what is frozen of them plus ``scale * b @ a``."""

    merged: Tensor
    sizes: Sequence[int]
    scale: float


class UpdatedLinear(Function):
    """A product with frozen weights into which ``b @ a``, all that is learnt, is already added."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor, matrices: Matrices) -> Tensor:
        """Return ``x @ merged.T``; see ``LowRank`` for the shapes of ``a`` and ``b``."""
        ctx.save_for_backward(x, a, b)
        ctx.matrices = matrices
        return functional.linear(x, matrices.merged)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        x, a, b = ctx.saved_tensors
        matrices: Matrices = ctx.matrices
        flat, dy = x.flatten(0, -2), grads[0].flatten(0, -2)
        low = functional.linear(flat, a.to(x.dtype)).chunk(len(matrices.sizes), 1)
        parts = list(zip(dy.split(matrices.sizes, 1), b.split(matrices.sizes), strict=True))
        back = torch.cat([dy_part @ b_part.to(x.dtype) for dy_part, b_part in parts], 1)
        db = torch.cat([dy_part.t() @ u for (dy_part, _), u in zip(parts, low, strict=True)])
        da = back.t() @ flat
        dx = grads[0] @ matrices.merged if ctx.needs_input_grad[0] else None
        return dx, da.float() * matrices.scale, db.float() * matrices.scale, None


class Attention(Function):
    """Causal attention; ``k`` and ``v`` have as many heads as ``q`` or fewer.

    Shapes are (batch, heads, tokens, width). Tokens after the end of a text, which stand on its
    right, change nothing before them, so they need no mask.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        groups, tokens = q.shape[1] // k.shape[1], q.shape[2]
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        scores = (q * q.shape[3] ** -0.5) @ k.transpose(2, 3)
        ahead = torch.full((tokens, tokens), float("-inf"), dtype=q.dtype, device=q.device)
        seen = scores.add_(ahead.triu_(1)).softmax(-1)
        out = seen @ v
        ctx.save_for_backward(q, k, v, seen, out)
        ctx.groups = groups
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        q, k, v, seen, out = ctx.saved_tensors
        dout = grads[0]
        mean = (dout * out).sum(-1, keepdim=True)
        dscores = (dout @ v.transpose(2, 3)).sub_(mean).mul_(seen)
        rate = q.shape[3] ** -0.5
        dq = (dscores @ k).mul_(rate)
        dk = (dscores.transpose(2, 3) @ q).mul_(rate)
        dv = seen.transpose(2, 3) @ dout
        return dq, _summed(dk, ctx.groups), _summed(dv, ctx.groups)


class RMSNorm(Function):
    """Root mean square normalisation with frozen weights, in float32 inside."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        wide = x.float()
        rate = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
        ctx.save_for_backward(x, weight, rate)
        return (wide * rate).mul_(weight).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        x, weight, rate = ctx.saved_tensors
        normal = x.float() * rate
        dnormal = grads[0].float() * weight
        mean = (dnormal * normal).mean(-1, keepdim=True)
        return dnormal.sub_(normal.mul_(mean)).mul_(rate).to(x.dtype), None, None


class Gate(Function):
    """``silu(gate) * up`` of one tensor that holds both side by side."""

    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        ctx.save_for_backward(both)
        gate, up = both.chunk(2, -1)
        return functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        gate, up = ctx.saved_tensors[0].chunk(2, -1)
        dboth = torch.empty_like(ctx.saved_tensors[0])
        dgate, dup = dboth.chunk(2, -1)
        share = torch.sigmoid(gate)
        opened = gate * share
        torch.mul(grads[0], opened, out=dup)
        # d silu(g) = share * (1 + g * (1 - share)) = share + opened * (1 - share)
        slope = torch.addcmul(share, opened, 1 - share)
        torch.mul(grads[0], slope.mul_(up), out=dgate)
        return dboth


class Rotation(Function):
    """Rotary position embedding of pairs (i, i + half) of a head's width."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotated(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        cos, sin = ctx.saved_tensors
        return _rotated(grads[0], cos, -sin), None, None


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    out = torch.empty_like(x)
    left, right = out.chunk(2, -1)
    torch.mul(first, cos, out=left).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=right).addcmul_(first, sin)
    return out


def _summed(heads: Tensor, groups: int) -> Tensor:
    return heads if groups == 1 else heads.unflatten(1, (-1, groups)).sum(2)
