"""Assistants, threads and their messages."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"

_ATTRIBUTES = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    _assistants()
    _threads()
    _messages()


def _seq() -> sa.Column[int]:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("seq", number, primary_key=True)


def _assistants() -> None:
    op.create_table(
        "assistants",
        _seq(),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("project_id", sa.Text, sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("description", sa.Text),
        sa.Column("instructions", sa.Text),
        sa.Column("tools", sa.JSON, nullable=False),
        sa.Column("tool_resources", sa.JSON, nullable=False),
        sa.Column("response_format", sa.JSON, nullable=False),
        sa.Column("temperature", sa.Float, nullable=False),
        sa.Column("top_p", sa.Float, nullable=False),
        sa.Column("metadata", _ATTRIBUTES, nullable=False),
    )
    op.create_index(None, "assistants", ["project_id", "seq"])


def _threads() -> None:
    op.create_table(
        "threads",
        _seq(),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("project_id", sa.Text, sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("tool_resources", sa.JSON, nullable=False),
        sa.Column("metadata", _ATTRIBUTES, nullable=False),
        sa.Column("active_run_id", sa.Text),
        sa.Column("deleted_at", sa.BigInteger),
    )
    op.create_index(None, "threads", ["project_id"])
    op.create_index(None, "threads", ["deleted_at"])


def _messages() -> None:
    thread = sa.ForeignKey("threads.id", ondelete="CASCADE")
    op.create_table(
        "messages",
        _seq(),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("thread_id", sa.Text, thread, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("incomplete_reason", sa.Text),
        sa.Column("completed_at", sa.BigInteger),
        sa.Column("incomplete_at", sa.BigInteger),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
        sa.Column("attachments", sa.JSON, nullable=False),
        sa.Column("assistant_id", sa.Text),
        sa.Column("run_id", sa.Text),
        sa.Column("metadata", _ATTRIBUTES, nullable=False),
    )
    op.create_index(None, "messages", ["thread_id", "seq"])
