"""The kinds of columns that tables are made of, and the schema they belong to."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Kept as written: key order (a JSON schema's properties) and \u0000 survive, as JSONB's would not.
Document = JSON
# Searched by key.
Attributes = JSON().with_variant(JSONB(), "postgresql")


def seq() -> Column[int]:
    """Return the number of a row, which lists sort by."""
    # SQLite numbers only an INTEGER PRIMARY KEY by itself.
    return Column("seq", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)


def identifier() -> Column[str]:
    """Return the column of an object's id."""
    return Column("id", Text, nullable=False, unique=True)


def moment(name: str, *, nullable: bool = False) -> Column[int]:
    """Return a column of seconds since 1970."""
    return Column(name, BigInteger, nullable=nullable)


def count(name: str) -> Column[int]:
    """Return a column that begins at 0."""
    return Column(name, BigInteger, nullable=False, server_default="0")


def refers(
    name: str,
    target: str,
    *,
    nullable: bool = False,
    delete_with: bool = False,
    index: bool = True,  # unless a constraint already begins with this column
) -> Column[str]:
    """Return a column that names a row of another table."""
    key = ForeignKey(target, ondelete="CASCADE" if delete_with else None)
    return Column(name, Text, key, nullable=nullable, index=index)
