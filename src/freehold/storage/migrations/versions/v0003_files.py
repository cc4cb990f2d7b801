"""Blobs, files, what is appended to files in the making, uploads and their parts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _blobs()
    _files()
    _uploads()


def _blobs() -> None:
    op.create_table(
        "blobs",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
    )
    op.create_index(None, "blobs", ["state", "since"])


def _files() -> None:
    op.create_table(
        "files",
        _seq(),
        _id(),
        _refers("organization_id", "organizations.id"),
        _refers("project_id", "projects.id"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("blob", sa.Text, nullable=False),
    )
    op.create_index(None, "files", ["project_id", "seq"])
    op.create_index(None, "files", ["organization_id", "bytes"])
    op.create_table(
        "output_pieces",
        _seq(),
        sa.Column("draft", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_index(None, "output_pieces", ["draft", "seq"])


def _uploads() -> None:
    op.create_table(
        "uploads",
        _seq(),
        _id(),
        _refers("organization_id", "organizations.id"),
        _refers("project_id", "projects.id", index=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("mime_type", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("file_id", sa.Text),
        sa.Column("part_ids", sa.JSON),
        sa.Column("md5", sa.Text),
        sa.Column("job_id", sa.Text),
        sa.Column("fault", sa.JSON),
    )
    op.create_index(None, "uploads", ["organization_id", "status"])
    op.create_index(None, "uploads", ["status", "expires_at"])
    op.create_table(
        "upload_parts",
        _seq(),
        _id(),
        _refers("upload_id", "uploads.id", index=True, ondelete="CASCADE"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("blob", sa.Text, nullable=False),
    )


def _seq() -> sa.Column[int]:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("seq", number, primary_key=True)


def _id() -> sa.Column[str]:
    return sa.Column("id", sa.Text, nullable=False, unique=True)


def _refers(name: str, target: str, *, index: bool = False, ondelete: str = "") -> sa.Column[str]:
    key = sa.ForeignKey(target, ondelete=ondelete or None)
    return sa.Column(name, sa.Text, key, nullable=False, index=index)
