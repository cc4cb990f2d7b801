"""Vector stores, their files in batches, and chunks with vectors and an index of words."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from freehold.storage import fulltext

revision = "0005"
down_revision = "0004"

_ATTRIBUTES = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    _stores()
    _files()
    _batches()
    _chunks()


def _stores() -> None:
    op.create_table(
        "vector_stores",
        _seq(),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("project_id", sa.Text, sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("metadata", _ATTRIBUTES),
        sa.Column("embedding_model", sa.Text, nullable=False),
        sa.Column("expires_after_days", sa.Integer),
        sa.Column("last_active_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("deleted_at", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index(None, "vector_stores", ["project_id", "seq"])
    op.create_index(None, "vector_stores", ["expires_at"])


def _files() -> None:
    op.create_table(
        "vector_store_files",
        _seq(),
        _with("vector_store_id", "vector_stores.id", sa.Text),
        _with("file_id", "files.id", sa.Text, index=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("chunk_tokens", sa.Integer, nullable=False),
        sa.Column("overlap_tokens", sa.Integer, nullable=False),
        sa.Column("attributes", _ATTRIBUTES, nullable=False),
        sa.Column("job_id", sa.Text),
        sa.Column("usage_bytes", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("chunks", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("last_chunk", sa.BigInteger, nullable=False, server_default="0"),
        sa.UniqueConstraint("vector_store_id", "file_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        None, "vector_store_files", ["vector_store_id", "status", "chunks", "last_chunk"]
    )


def _batches() -> None:
    op.create_table(
        "vector_store_batches",
        _seq(),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        _with("vector_store_id", "vector_stores.id", sa.Text, index=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("cancelled_at", sa.BigInteger),
    )
    op.create_table(
        "vector_store_batch_files",
        _with("batch_id", "vector_store_batches.id", sa.Text, primary_key=True),
        _with("file_seq", "vector_store_files.seq", sa.BigInteger, primary_key=True),
    )
    op.create_index(None, "vector_store_batch_files", ["file_seq"])


def _chunks() -> None:
    op.create_table(
        "vector_store_chunks",
        _seq(),
        _with("file_seq", "vector_store_files.seq", sa.BigInteger),
        sa.Column("store_seq", sa.BigInteger, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(None, "vector_store_chunks", ["file_seq"])
    for statement in fulltext.statements(op.get_bind().dialect.name):
        op.execute(statement)


def _seq() -> sa.Column[int]:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("seq", number, primary_key=True)


def _with(
    name: str,
    target: str,
    kind: type[sa.Text | sa.BigInteger],
    *,
    index: bool = False,
    primary_key: bool = False,
) -> sa.Column[object]:
    """Return a column whose row is deleted with the one it refers to."""
    key = sa.ForeignKey(target, ondelete="CASCADE")
    return sa.Column(
        name,
        kind,
        key,
        nullable=False,
        index=index,
        primary_key=primary_key,
        autoincrement=False if primary_key else "auto",
    )
