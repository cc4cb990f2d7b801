"""Organization, projects, keys, limits, usage and stored chat completions.

Constraints and indexes take their names from the naming convention of ``tables.metadata``.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    _organization()
    _project_members()
    _api_keys()
    _project_rate_limits()
    _usage_events()
    _chat_completions()


def _organization() -> None:
    op.create_table(
        "organizations",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "projects",
        _seq(),
        _id(),
        _refers("organization_id", "organizations.id", nullable=False, index=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False, server_default="active"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("archived_at", sa.BigInteger),
        sa.Column("zero_data_retention", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("is_default", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "users",
        _seq(),
        _id(),
        _refers("organization_id", "organizations.id", nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("organization_id", "email"),
    )


def _project_members() -> None:
    op.create_table(
        "project_users",
        _seq(),
        _refers("project_id", "projects.id", nullable=False),
        _refers("user_id", "users.id", nullable=False, index=True, ondelete="CASCADE"),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("project_id", "user_id"),
    )
    op.create_table(
        "service_accounts",
        _seq(),
        _id(),
        _refers("project_id", "projects.id", nullable=False, index=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )


def _api_keys() -> None:
    op.create_table(
        "api_keys",
        _seq(),
        _id(),
        sa.Column("kind", sa.Text, nullable=False),
        _refers("organization_id", "organizations.id", nullable=False, index=True),
        _refers("project_id", "projects.id", index=True),
        _refers("user_id", "users.id", index=True, ondelete="CASCADE"),
        _refers("service_account_id", "service_accounts.id", index=True, ondelete="CASCADE"),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("redacted_value", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
    )


def _project_rate_limits() -> None:
    op.create_table(
        "project_rate_limits",
        _seq(),
        _id(),
        _refers("project_id", "projects.id", nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("max_requests_per_1_minute", sa.BigInteger),
        sa.Column("max_tokens_per_1_minute", sa.BigInteger),
        sa.Column("max_images_per_1_minute", sa.BigInteger),
        sa.Column("max_audio_megabytes_per_1_minute", sa.BigInteger),
        sa.Column("max_requests_per_1_day", sa.BigInteger),
        sa.Column("batch_1_day_max_input_tokens", sa.BigInteger),
        sa.UniqueConstraint("project_id", "model"),
    )


def _usage_events() -> None:
    op.create_table(
        "usage_events",
        _seq(),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("api_key_id", sa.Text),
        sa.Column("user_id", sa.Text),
        sa.Column("service_account_id", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("endpoint", sa.Text, nullable=False),
        _count("requests"),
        _count("input_tokens"),
        _count("output_tokens"),
        _count("input_cached_tokens"),
        _count("input_audio_tokens"),
        _count("output_audio_tokens"),
        _count("images"),
        sa.Column("image_size", sa.Text),
        sa.Column("image_source", sa.Text),
        _count("characters"),
        sa.Column("seconds", sa.Float, nullable=False, server_default="0"),
        sa.Column("batch", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_index(None, "usage_events", ["at"])
    op.create_index(None, "usage_events", ["project_id", "at"])


def _chat_completions() -> None:
    attributes = sa.JSON().with_variant(JSONB(), "postgresql")
    op.create_table(
        "chat_completions",
        _seq(),
        _id(),
        _refers("project_id", "projects.id", nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("response", sa.JSON, nullable=False),
        sa.Column("metadata", attributes, nullable=False),
    )
    op.create_index(None, "chat_completions", ["project_id", "seq"])


def _seq() -> sa.Column[int]:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("seq", number, primary_key=True)


def _id() -> sa.Column[str]:
    return sa.Column("id", sa.Text, nullable=False, unique=True)


def _refers(
    name: str, target: str, *, nullable: bool = True, index: bool = False, ondelete: str = ""
) -> sa.Column[str]:
    key = sa.ForeignKey(target, ondelete=ondelete or None)
    return sa.Column(name, sa.Text, key, nullable=nullable, index=index)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
