"""The network and how it is learnt."""

# pyright: reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUntypedBaseClass=false, reportUntypedFunctionDecorator=false
# Checked without torch, which is only in the extra `train`.

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from freehold.engines.moderation_features import BUCKETS
from freehold.engines.moderation_head import SCALE
from moderation.rows import OUTPUTS, Rows
from moderation.settings import Settings

Tensor = Any
_AT_ONCE: Final = 2048


@dataclass(frozen=True, slots=True)
class Features:
    """What the network is shown: a vector and the buckets of the n-grams of each text."""

    vectors: NDArray[np.float32]
    grams: Sequence[NDArray[np.int64]]

    def batch(self, chosen: NDArray[np.intp]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return vectors, all n-grams in a row, where each text's begin, and their counts."""
        grams = [self.grams[place] for place in chosen]
        counts = np.array([len(each) for each in grams])
        starts = np.concatenate([[0], counts[:-1].cumsum()])
        return (
            torch.from_numpy(self.vectors[chosen]) * SCALE,
            torch.from_numpy(np.concatenate(grams)),
            torch.from_numpy(starts),
            torch.from_numpy(counts).float(),
        )


class Network(nn.Module):
    """A layer of hidden units on the vector, and a sum of weights of n-grams."""

    def __init__(self, inputs: int, settings: Settings) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, settings.hidden)
        self.second = nn.Linear(settings.hidden, OUTPUTS)
        self.bag = nn.EmbeddingBag(BUCKETS, OUTPUTS, mode="sum")
        self.dropout = settings.dropout
        nn.init.zeros_(self.bag.weight)

    def forward(self, vectors: Tensor, grams: Tensor, starts: Tensor, counts: Tensor) -> Tensor:
        shown = functional.dropout(vectors, self.dropout / 2, self.training)
        hidden = functional.dropout(self.first(shown).relu(), self.dropout, self.training)
        return self.second(hidden) + self.bag(grams, starts) / counts.clamp(min=1).sqrt()[:, None]


def learn(
    rows: Rows, features: Features, chosen: NDArray[np.intp], settings: Settings, seed: int
) -> Network:
    """Return a network that has learnt the chosen rows; unknown labels teach nothing."""
    torch.manual_seed(seed)
    order = np.random.default_rng(seed)
    network = Network(features.vectors.shape[1], settings)
    optimizer = _optimizer(network, settings)
    balance = rows.balance(chosen)
    size = settings.batch
    steps = settings.epochs * (len(chosen) // size)

    def share_of_rate(step: int) -> float:
        return 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / steps))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share_of_rate)
    for _ in range(settings.epochs):
        shuffled = order.permutation(len(chosen))
        for start in range(0, len(shuffled) - size + 1, size):
            some = shuffled[start : start + size]
            loss = _loss(network, rows, features, chosen[some], balance[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def _optimizer(network: Network, settings: Settings) -> Any:
    layers = [*network.first.parameters(), *network.second.parameters()]
    groups = [
        {"params": layers, "lr": settings.rate},
        {"params": network.bag.parameters(), "lr": settings.gram_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=settings.decay)


def _loss(
    network: Network,
    rows: Rows,
    features: Features,
    chosen: NDArray[np.intp],
    balance: NDArray[np.float32],
) -> Tensor:
    labels = torch.from_numpy(rows.labels[chosen]).float()
    weights = torch.from_numpy(rows.weights[chosen] * balance[:, None]) * (labels >= 0)
    values = network(*features.batch(chosen))
    each = functional.binary_cross_entropy_with_logits(
        values, labels.clamp(min=0), reduction="none"
    )
    return (each * weights).sum() / len(chosen)


@torch.no_grad()
def values(
    networks: Sequence[Network], features: Features, chosen: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Return the mean of the networks' values for the chosen rows."""
    found: list[NDArray[np.float32]] = []
    for start in range(0, len(chosen), _AT_ONCE):
        batch = features.batch(chosen[start : start + _AT_ONCE])
        found.append(torch.stack([network(*batch) for network in networks]).mean(0).numpy())
    return np.concatenate(found)


def arrays(networks: Sequence[Network]) -> dict[str, NDArray[Any]]:
    """Return one set of arrays that gives the networks' mean: side by side, the n-grams joined."""
    share = 1 / len(networks)
    bag = sum(network.bag.weight.detach().numpy() for network in networks) * share
    scale = np.abs(bag).max(axis=0) / 127
    layers = [(network.first, network.second) for network in networks]
    return {
        "first": _half(np.concatenate([a.weight.detach().numpy().T for a, _ in layers], axis=1)),
        "first_bias": _half(np.concatenate([a.bias.detach().numpy() for a, _ in layers])),
        "second": _half(np.concatenate([b.weight.detach().numpy().T for _, b in layers]) * share),
        "second_bias": _half(sum(b.bias.detach().numpy() for _, b in layers) * share),
        "bag": np.round(bag / scale).astype(np.int8),
        "bag_scale": scale.astype(np.float32),
    }


def _half(array: Any) -> NDArray[np.float16]:
    return np.asarray(array, np.float16)
