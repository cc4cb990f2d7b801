from pathlib import Path

import pytest

from freehold.storage import address
from freehold.storage.address import DatabaseSetupError


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_write_postgres_means_psycopg(scheme: str) -> None:
    url = address.parse(f"{scheme}://user@host/name")

    assert url.drivername == "postgresql+psycopg"
    assert not address.is_sqlite(url)


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("sqlite:////var/lib/x.db", Path("/var/lib/x.db")),
        ("sqlite:///x.db", Path("x.db")),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
    ],
)
def test_sqlite_address_names_a_file_or_memory(written: str, path: Path | None) -> None:
    url = address.parse(written)

    assert address.is_sqlite(url)
    assert address.sqlite_path(url) == path


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("mysql://host/name", "knows no database 'mysql'"),
        ("postgresql+asyncpg://host/name", "knows no database 'postgresql\\+asyncpg'"),
        ("not an address", "write sqlite:///"),
        ("sqlite://folder/file.db", "three slashes"),
        ("sqlite:///file.db?mode=ro", "three slashes"),
    ],
)
def test_wrong_address_is_refused_with_the_right_form(written: str, reason: str) -> None:
    with pytest.raises(DatabaseSetupError, match=reason):
        address.parse(written)


def test_refusal_does_not_repeat_a_password() -> None:
    with pytest.raises(DatabaseSetupError) as caught:
        address.parse("sqlite://user:topsecret@host/file.db")

    assert "topsecret" not in str(caught.value)
