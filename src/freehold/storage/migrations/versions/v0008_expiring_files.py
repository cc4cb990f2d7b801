"""Files that expire, and what uploads and batches were told of those that they make."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("files", sa.Column("expires_at", sa.BigInteger))
    op.create_index(None, "files", ["expires_at"])
    op.add_column("uploads", sa.Column("file_expires_after_s", sa.BigInteger))
    op.add_column("batches", sa.Column("output_expires_after_s", sa.BigInteger))
