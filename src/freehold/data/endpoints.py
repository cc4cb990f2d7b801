"""Which fields of a request are honoured, taken without effect, or refused with a reason."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from freehold.core import messages


class Refusal(BaseModel):
    """Why a field is refused, and the values of it that are fine all the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: str
    except_: tuple[Any, ...] = Field((), alias="except")


class Endpoint(BaseModel):
    """The fields of one operation's request, in three lists."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    honoured: tuple[str, ...]
    accepted: tuple[str, ...] = ()
    refused: dict[str, Refusal] = {}


def endpoint(operation_id: str) -> Endpoint | None:
    """Return the lists of an operation, None where it has none."""
    return endpoints().get(operation_id)


def refuse(operation_id: str, body: Mapping[str, Any]) -> None:
    """Raise ``BadRequestError`` for the first field that is known but can't be honoured."""
    row = endpoints().get(operation_id)
    for field, refusal in row.refused.items() if row else ():
        value = body.get(field)
        if value is not None and value not in refusal.except_:
            raise messages.unsupported(field, refusal.reason)


@cache
def endpoints() -> Mapping[str, Endpoint]:
    """Return every operation's lists by its id."""
    text = resources.files("freehold.data").joinpath("endpoints.toml").read_text()
    return {name: Endpoint.model_validate(row) for name, row in tomllib.loads(text).items()}
