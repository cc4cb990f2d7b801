"""Models: what ``/models`` answers."""

from typing import Literal

from freehold.wire.shared import Answer


class Model(Answer):
    id: str
    created: int
    object: Literal["model"]
    owned_by: str


class ModelList(Answer):
    """The page of all models (``SyncPage[Model]`` in the SDK)."""

    object: Literal["list"]
    data: list[Model]


class ModelDeleted(Answer):
    id: str
    deleted: bool
    object: Literal["model"]
