"""The version of the Assistants API that a request asks for in its ``OpenAI-Beta`` header."""

from collections.abc import Mapping
from typing import Final

from freehold.core.errors import BadRequestError

_GROUPS: Final = ("/v1/assistants", "/v1/threads", "/v1/vector_stores")
_SERVED: Final = "assistants=v2"


def check(path: str, headers: Mapping[bytes, bytes]) -> None:
    """Refuse another version of the Assistants API than the second, which needs no header."""
    asked = [name.strip() for name in headers.get(b"openai-beta", b"").decode("latin-1").split(",")]
    versions = {name for name in asked if name.startswith("assistants=")}
    if versions - {_SERVED} and path.startswith(_GROUPS):
        raise BadRequestError(_told(versions), code="invalid_beta")


def _told(versions: set[str]) -> str:
    if "assistants=v1" in versions:
        return (
            "The v1 Assistants API has been deprecated. Please try again by setting the header "
            f"'OpenAI-Beta: {_SERVED}'. See the migration guide for more information: "
            "https://platform.openai.com/docs/assistants/migration."
        )
    return (
        f"Invalid beta version of the Assistants API. Please try again by setting the header "
        f"'OpenAI-Beta: {_SERVED}'."
    )
