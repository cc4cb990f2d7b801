"""Who is calling: keys, their kinds, and the organization and project headers."""

from dataclasses import dataclass
from typing import Literal, Protocol

from freehold.core.errors import AuthenticationError, PermissionDeniedError

KeyKind = Literal["project", "service_account", "admin"]


@dataclass(frozen=True, slots=True)
class Principal:
    """The owner of a valid key. ``project_id`` is None for admin keys only."""

    key_id: str
    kind: KeyKind
    organization_id: str
    project_id: str | None
    user_id: str | None
    zero_data_retention: bool = False


class KeyRing(Protocol):
    """Knows the keys; implemented by the organization group."""

    async def find(self, secret: str) -> Principal | None:
        """Return the owner of this secret, None if there is no such key (any more)."""
        ...


def bearer(authorization: str | None) -> str:
    """Return the key in an ``Authorization`` header."""
    scheme, _, secret = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise AuthenticationError(
            "You didn't provide an API key. You need to provide your API key in an Authorization "
            "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY). `freehold keys "
            "create` on the server makes one."
        )
    return secret.strip()


def redact(secret: str) -> str:
    """Return the key as it may be shown in a message: its beginning and its last four letters."""
    if len(secret) < 12:  # too short to be a key, and to hide in
        return "*" * len(secret)
    return f"{secret[:7]}{'*' * min(len(secret) - 11, 24)}{secret[-4:]}"


async def authenticate(keys: KeyRing, authorization: str | None) -> Principal:
    """Return who calls, or raise ``AuthenticationError`` in OpenAI's words."""
    secret = bearer(authorization)
    principal = await keys.find(secret)
    if principal is None:
        raise AuthenticationError(
            f"Incorrect API key provided: {redact(secret)}. `freehold keys list` on the server "
            "shows the keys that exist.",
            code="invalid_api_key",
        )
    return principal


def check_headers(principal: Principal, organization: str | None, project: str | None) -> None:
    """Refuse ``OpenAI-Organization`` and ``OpenAI-Project`` headers that name somebody else."""
    if organization and organization != principal.organization_id:
        raise AuthenticationError(
            "OpenAI-Organization header should match organization for API key",
            code="mismatched_organization",
        )
    if project and principal.project_id and project != principal.project_id:
        raise AuthenticationError(
            "OpenAI-Project header should match project for API key", code="mismatched_project"
        )


def check_kind(principal: Principal, path: str) -> None:
    """Keep admin keys inside ``/organization`` and all others outside."""
    administration = path.startswith("/organization/")
    if administration and principal.kind != "admin":
        raise PermissionDeniedError(
            "You have insufficient permissions for this operation. Missing scopes: "
            "api.management. Use an admin key (sk-admin-...) for /organization.",
            code="insufficient_permissions",
        )
    if not administration and principal.kind == "admin":
        raise PermissionDeniedError(
            "Admin API keys cannot be used for non-administration endpoints. Use a project key.",
            code="insufficient_permissions",
        )
