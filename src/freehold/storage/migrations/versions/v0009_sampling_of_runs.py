"""What a run was asked to sample with, apart from what the API shows where nothing was asked."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("runs", sa.Column("sampling", sa.JSON))
