"""Jobs and workers on the command line, on a real database in a file."""

import pytest
from click.testing import CliRunner

from freehold.cli import database, main
from freehold.core import settings
from freehold.jobs import store
from freehold.jobs.queue import Jobs


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FREEHOLD_STATE_DIR", str(tmp_path / "state"))
    return settings.load().settings


@pytest.fixture
def job_id(state):
    return database.run(
        state,
        lambda db: db.write(
            lambda c: Jobs(db).enqueue(c, "work", {"a": 1}, project_id="proj_x", key="thing_1")
        ),
    )


def freehold(*arguments):
    return CliRunner().invoke(main, list(arguments))


def find(state, job_id):
    return database.run(state, lambda db: db.read(lambda c: store.find(c, job_id)))


def fail(state, job_id):
    def unit(connection):
        lease = {"now": 2**40, "lease_s": 9, "room": 1, "background_room": 1}
        store.claim(connection, worker="w", kinds=["work"], **lease)
        store.end(connection, job_id, "w", "failed", "no luck")

    database.run(state, lambda db: db.write(unit))


def test_jobs_are_listed_with_what_they_are_about(state, job_id):
    listed = freehold("jobs", "list").output
    for told in (job_id, "work", "thing_1", "proj_x", "queued"):
        assert told in listed
    assert job_id not in freehold("jobs", "list", "--state", "failed").output


def test_a_job_is_shown_with_its_payload(job_id):
    shown = freehold("jobs", "show", job_id).output
    assert '{"a": 1}' in shown
    assert "UTC" in shown
    assert freehold("jobs", "show", "job_none").exit_code == 1


def test_a_failed_job_is_retried_and_others_are_not(state, job_id):
    assert freehold("jobs", "retry", job_id).exit_code == 1
    fail(state, job_id)
    assert "no luck" in freehold("jobs", "list", "--state", "failed").output
    assert freehold("jobs", "retry", job_id).exit_code == 0
    assert find(state, job_id).state == "queued"


def test_a_failed_job_whose_place_is_taken_is_not_retried(state, job_id):
    fail(state, job_id)
    successor = {"project_id": "proj_x", "key": "thing_1"}
    database.run(state, lambda db: db.write(lambda c: Jobs(db).enqueue(c, "work", {}, **successor)))

    refused = freehold("jobs", "retry", job_id)

    assert refused.exit_code == 1
    assert "another" in refused.output
    assert find(state, job_id).state == "failed"


def test_a_living_job_is_cancelled_and_an_ended_one_is_not(state, job_id):
    assert freehold("jobs", "cancel", job_id).exit_code == 0
    assert find(state, job_id).cancel_requested
    assert "cancelling" in freehold("jobs", "list").output
    fail(state, job_id)
    refused = freehold("jobs", "cancel", job_id)
    assert refused.exit_code == 1
    assert "does not wait or run" in refused.output


def test_a_second_worker_is_refused_on_sqlite(state):
    refused = freehold("worker")
    assert refused.exit_code == 1
    assert "PostgreSQL" in refused.output
