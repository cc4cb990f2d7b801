"""Runs of assistants on threads, and their steps."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"

_ATTRIBUTES = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    _runs()
    _steps()


def _seq() -> sa.Column[int]:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("seq", number, primary_key=True)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def _runs() -> None:
    thread = sa.ForeignKey("threads.id", ondelete="CASCADE")
    op.create_table(
        "runs",
        _seq(),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("thread_id", sa.Text, thread, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("api_key_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text),
        sa.Column("assistant_id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("instructions", sa.Text, nullable=False),
        sa.Column("tools", sa.JSON, nullable=False),
        sa.Column("tool_resources", sa.JSON, nullable=False),
        sa.Column("response_format", sa.JSON, nullable=False),
        sa.Column("temperature", sa.Float, nullable=False),
        sa.Column("top_p", sa.Float, nullable=False),
        sa.Column("max_prompt_tokens", sa.BigInteger),
        sa.Column("max_completion_tokens", sa.BigInteger),
        sa.Column("truncation_strategy", sa.JSON, nullable=False),
        sa.Column("tool_choice", sa.JSON, nullable=False),
        sa.Column("parallel_tool_calls", sa.Boolean, nullable=False),
        sa.Column("metadata", _ATTRIBUTES, nullable=False),
        sa.Column("required_action", sa.JSON),
        sa.Column("last_error", sa.JSON),
        sa.Column("incomplete_reason", sa.Text),
        sa.Column("turn", sa.Integer, nullable=False),
        _count("prompt_tokens"),
        _count("completion_tokens"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("cancelled_at", sa.BigInteger),
        sa.Column("failed_at", sa.BigInteger),
        sa.Column("completed_at", sa.BigInteger),
    )
    op.create_index(None, "runs", ["thread_id", "seq"])


def _steps() -> None:
    run = sa.ForeignKey("runs.id", ondelete="CASCADE")
    op.create_table(
        "run_steps",
        _seq(),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("run_id", sa.Text, run, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("calls", sa.JSON),
        sa.Column("last_error", sa.JSON),
        sa.Column("prompt_tokens", sa.BigInteger),
        sa.Column("completion_tokens", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expired_at", sa.BigInteger),
        sa.Column("cancelled_at", sa.BigInteger),
        sa.Column("failed_at", sa.BigInteger),
        sa.Column("completed_at", sa.BigInteger),
    )
    op.create_index(None, "run_steps", ["run_id", "seq"])
