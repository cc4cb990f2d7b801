"""Usage: recorded with each answer, on disk within a second, none lost by a clean stop."""

import pytest
from sqlalchemy import create_engine, func, select

from freehold.storage.tables import api_keys, usage_events
from servers import in_process


def rows(state_dir):
    engine = create_engine(f"sqlite:///{state_dir}/freehold.db")
    with engine.connect() as connection:
        found = connection.execute(select(usage_events)).mappings().all()
        used = connection.execute(select(func.max(api_keys.c.last_used_at))).scalar()
    engine.dispose()
    return found, used


async def test_a_clean_stop_loses_no_usage(tmp_path):
    async with in_process(tmp_path) as api:
        answer = await api.chat()
        await api.stream(model="gpt-4o-mini")
    found, used = rows(tmp_path)
    assert [row["model"] for row in found] == ["gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18"]
    first = found[0]
    assert first["endpoint"] == "createChatCompletion"
    assert first["input_tokens"] == answer["usage"]["prompt_tokens"]
    assert first["output_tokens"] == answer["usage"]["completion_tokens"]
    assert first["requests"] == 1
    assert first["project_id"].startswith("proj_")
    assert first["api_key_id"].startswith("key_")
    assert first["user_id"].startswith("user-")
    assert used == found[-1]["at"]


async def test_refused_requests_use_nothing(tmp_path):
    async with in_process(tmp_path) as api:
        await api.refused(temperature=9)
        await api.refused(404, model="none")
    assert rows(tmp_path)[0] == []


async def test_limits_of_a_project_are_enforced_and_told(tmp_path, monkeypatch):
    monkeypatch.setattr("freehold.data.limits.rate_limits", lambda _model: (2, 1000))
    async with in_process(tmp_path) as api:
        await api.chat()
        await api.chat()
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}
        refused = await api.client.post("/v1/chat/completions", json=body)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.headers["x-ratelimit-limit-requests"] == "2"
    assert float(refused.headers["retry-after-ms"]) == pytest.approx(30_000, rel=0.1)
