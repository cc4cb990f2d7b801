"""Keys and projects: what the first start makes, and what a key opens."""

import pytest
from sqlalchemy import select

from freehold.core.errors import BadRequestError, NotFoundError
from freehold.resources.organization import keyring, service
from freehold.storage.open import open_database
from freehold.storage.tables import api_keys


@pytest.fixture
async def database():
    database = open_database("sqlite://")
    yield database
    await database.close()


async def test_the_first_start_makes_keys_and_no_later_one_does(database):
    first = await service.bootstrap(database)
    assert first
    assert first.project_key.startswith("sk-")
    assert first.admin_key.startswith("sk-admin-")
    assert await service.bootstrap(database) is None
    projects = await service.list_projects(database)
    assert [(p["is_default"], p["zero_data_retention"]) for p in projects] == [(True, False)]


async def test_a_key_is_stored_as_its_digest_only(database):
    await service.bootstrap(database)
    key = await service.create_key(database, name="laptop")
    assert len(key.secret) >= len("sk-") + 43  # 256 bits in base64
    rows = await database.read(lambda c: c.execute(select(api_keys)).mappings().all())
    assert all(key.secret not in str(dict(row)) for row in rows)
    listed = await service.list_keys(database)
    mine = next(row for row in listed if row["id"] == key.id)
    assert mine["redacted_value"].startswith(key.secret[:7])
    assert mine["redacted_value"].endswith(key.secret[-4:])
    assert all("secret_sha256" not in row for row in listed)


async def test_a_revoked_key_opens_nothing_once_trust_has_run_out(database):
    await service.bootstrap(database)
    key = await service.create_key(database)
    now = [0.0]
    ring = keyring.DatabaseKeyRing(database, clock=lambda: now[0])
    principal = await ring.find(key.secret)
    assert principal
    assert principal.kind == "project"
    assert principal.project_id
    await service.revoke_key(database, key.id)
    now[0] += keyring.TRUST_SECONDS
    assert await ring.find(key.secret) is None
    with pytest.raises(NotFoundError):
        await service.revoke_key(database, key.id)


async def test_admin_keys_belong_to_no_project(database):
    await service.bootstrap(database)
    key = await service.create_key(database, kind="admin")
    principal = await keyring.DatabaseKeyRing(database).find(key.secret)
    assert principal
    assert (principal.kind, principal.project_id) == ("admin", None)


async def test_zero_data_retention_is_a_switch_of_the_project(database):
    first = await service.bootstrap(database)
    project = (await service.list_projects(database))[0]["id"]
    await service.set_zero_data_retention(database, project, on=True)
    principal = await keyring.DatabaseKeyRing(database).find(first.project_key)
    assert principal.zero_data_retention
    await service.set_zero_data_retention(database, project, on=False)
    assert not (await service.list_projects(database))[0]["zero_data_retention"]
    with pytest.raises(NotFoundError):
        await service.set_zero_data_retention(database, "proj_none", on=True)


async def test_keys_are_made_for_projects_that_exist(database):
    with pytest.raises(BadRequestError):
        await service.create_key(database, kind="admin")
    await service.bootstrap(database)
    with pytest.raises(NotFoundError):
        await service.create_key(database, project_id="proj_none")
