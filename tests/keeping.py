"""What tests of kept objects do again and again: make, list, refuse, look from elsewhere."""

from sqlalchemy import insert

from freehold.resources.organization import service as organization
from freehold.storage.tables import projects


async def made(api, path, **body):
    """Return the answer to a request that must succeed."""
    answer = await api.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refused(api, path, status=400, **body):
    """Return the error of a request that must be refused with ``status``."""
    answer = await api.client.post(path, json=body, sends_invalid=True)
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


async def uploaded(api, content=b"some text", filename="notes.txt", purpose="assistants"):
    """Return the file of an upload that must succeed."""
    answer = await api.client.post(
        "/v1/files", data={"purpose": purpose}, files={"file": (filename, content)}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def listed_by(api, path, ids):
    """Check every cursor of a list whose five objects were made in the order of ``ids``."""

    async def page(query):
        answer = await api.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        got = answer.json()
        found = [one["id"] for one in got["data"]]
        ends = (found[0], found[-1]) if found else (None, None)
        assert (got["first_id"], got["last_id"]) == ends
        return [ids.index(one) for one in found], got["has_more"]

    assert await page({}) == ([4, 3, 2, 1, 0], False)
    assert await page({"order": "asc"}) == ([0, 1, 2, 3, 4], False)
    assert await page({"limit": 2}) == ([4, 3], True)
    assert await page({"after": ids[3], "limit": 2}) == ([2, 1], True)
    assert await page({"after": ids[1], "limit": 2}) == ([0], False)
    assert await page({"after": ids[0]}) == ([], False)
    assert await page({"before": ids[0], "limit": 2}) == ([2, 1], True)
    assert await page({"before": ids[3]}) == ([4], False)
    assert await page({"before": ids[3], "order": "asc", "limit": 2}) == ([1, 2], True)
    assert await page({"after": ids[4], "before": ids[0], "limit": 2}) == ([3, 2], True)
    assert await page({"after": ids[0], "before": ids[2], "order": "asc"}) == ([1], False)
    for query in ({"limit": 0}, {"limit": 101}, {"order": "up"}):
        answer = await api.client.get(path, params=query)
        assert answer.status_code == 400, query


async def other_key(api):
    """Return headers with the key of another project."""
    database = api.server.api.services.database
    mine = await organization.list_projects(database)
    project = {"id": "proj_other", "name": "Other", "created_at": 0}
    project["organization_id"] = mine[0]["organization_id"]
    await database.write(lambda c: c.execute(insert(projects), project))
    key = await organization.create_key(database, project_id="proj_other")
    return {"Authorization": f"Bearer {key.secret}"}


async def without_retention(api):
    """Give the client a key of its project, which has zero data retention from now on."""
    database = api.server.api.services.database
    project = (await organization.list_projects(database))[0]["id"]
    await organization.set_zero_data_retention(database, project, on=True)
    key = await organization.create_key(database)
    api.client.client.headers["Authorization"] = f"Bearer {key.secret}"
