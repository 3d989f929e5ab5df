import json
import threading

import pytest
from django.db import connections

from engines.base import WorkflowPhase
from runs.models import WorkflowRun
from runs.services import run_observe, run_stop
from tests.runs.conftest import MANIFEST

pytestmark = pytest.mark.django_db
NODES = {
    "root": {"id": "root", "displayName": "root", "type": "Steps", "phase": "Running", "children": ["group"]},
    "group": {"id": "group", "displayName": "[0]", "type": "StepGroup", "phase": "Running", "children": ["a", "b"]},
    "b": {"id": "b", "displayName": "second", "type": "Pod", "phase": "Pending", "message": "waits"},
    "a": {"id": "a", "displayName": "first", "type": "Pod", "phase": "Running", "startedAt": "2026-01-01T00:00:00Z"},
}


@pytest.fixture
def running(make_run, status_of, engine):
    run = make_run(now=None)
    engine.put(run.name)
    return run_observe(run_id=run.pk, status=status_of(run, nodes=NODES, progress="0/2"))


def test_runs_are_listed_the_newest_first_in_few_queries(api, make_run, django_assert_max_num_queries):
    runs = [make_run() for _ in range(20)]

    with django_assert_max_num_queries(3) as captured:
        answer = api.get("/api/runs/")

    assert answer.status_code == 200
    assert answer.data["count"] == 20
    assert [run["name"] for run in answer.data["results"]] == [run.name for run in reversed(runs)]
    assert answer.data["results"][0]["url"] == f"http://testserver/api/runs/{runs[-1].name}/"
    assert not [q for q in captured.captured_queries if 'manifest"' in q["sql"] or "runnodes" in q["sql"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("phase=running", 1),
        ("phase=queued", 1),
        ("owner_kind=test", 2),
        ("owner_id=0", 0),
        ("engine=double&sort=-name", 2),
        ("created_at_after=2020-01-01T00:00:00Z&created_at_before=2100-01-01", 2),
        ("created_at_before=2020-01-01", 0),
    ],
)
def test_runs_are_filtered(api, make_run, running, query, expected):
    make_run()

    assert api.get(f"/api/runs/?{query}").data["count"] == expected


@pytest.mark.parametrize("query", ["phase=odd", "owner_id=x", "unknown=1", "sort=manifest", "created_at_after=soon"])
def test_a_filter_that_makes_no_sense_is_refused(api, db, query):
    answer = api.get(f"/api/runs/?{query}")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == f"/query/{query.split('=')[0]}"


def test_a_run_is_shown_with_nodes_and_events(api, running, django_assert_max_num_queries):
    with django_assert_max_num_queries(3):
        answer = api.get(f"/api/runs/{running.name}/")

    assert answer.data["phase"] == "running"
    assert answer.data["progress"] == "0/2"
    assert [(n["depth"], n["display_name"]) for n in answer.data["nodes"]] == [
        (0, "root"), (1, "[0]"), (2, "first"), (2, "second"),
    ]  # fmt: skip
    assert [e["to_phase"] for e in answer.data["events"]] == ["queued", "running"]


def test_manifest_events_and_nodes_have_their_own_addresses(api, running):
    url = f"/api/runs/{running.name}/"

    assert api.get(f"{url}manifest/").data == MANIFEST
    assert api.get(f"{url}events/").data["count"] == 2
    assert api.get(f"{url}events/?page_size=1&page=2").data["results"][0]["to_phase"] == "running"
    assert api.get(f"{url}nodes/").data["count"] == 4


@pytest.mark.parametrize("end", ["", "manifest/", "events/", "nodes/", "logs/"])
def test_a_run_that_is_not_there_is_not_found(api, db, end):
    assert api.get(f"/api/runs/no-such-run/{end}").status_code == 404
    assert api.get(f"/api/runs/no%00run/{end}").status_code in (400, 404)


def test_runs_are_not_changed_over_http(api, running):
    url = f"/api/runs/{running.name}/"

    assert {api.post("/api/runs/").status_code, api.delete(url).status_code, api.patch(url).status_code} == {405}


def text_of(answer):
    return b"".join(answer.streaming_content).decode()


def test_logs_are_text_with_time_step_container_and_stream_in_front(api, running):
    answer = api.get(f"/api/runs/{running.name}/logs/?node=a")

    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert text_of(answer) == "2026-01-01T00:00:00Z first/main stdout: hello\n- first/main stderr: bye\n"


@pytest.mark.parametrize("node", ["a", "first"])
def test_logs_of_one_node_are_its_lines_alone(api, running, node):
    url = f"/api/runs/{running.name}/logs/?node={node}"

    assert text_of(api.get(f"{url}&prefix=false")) == "hello\nbye\n"
    assert " first/main " in text_of(api.get(url))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("stream=stderr", "bye\n"),
        ("container=main&tail=1", "bye\n"),
        ("container=other", ""),
        ("grep=ell", "hello\n"),
        ("grep=^h.*", ""),
        ("since=2026-01-01T00:00:00Z", "hello\nbye\n"),
        ("since=2026-01-01T00:00:00.5Z", ""),
        ("since=2h", ""),
        ("tail=10000", "hello\nbye\n"),
    ],
)
def test_logs_hold_what_is_asked_for(api, running, engine, query, expected):
    url = f"/api/runs/{running.name}/logs/?prefix=false&{query}"
    engine.set_phase(running.name, WorkflowPhase.SUCCEEDED)

    assert text_of(api.get(url)) == expected
    assert text_of(api.get(f"{url}&follow=true")) == expected


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("stream", "both"),
        ("tail", "0"),
        ("tail", "10001"),
        ("tail", "many"),
        ("since", "soon"),
        ("grep", "x" * 201),
        ("download", "perhaps"),
    ],
)
def test_a_bound_that_makes_no_sense_is_refused_by_its_name(api, running, parameter, value):
    answer = api.get(f"/api/runs/{running.name}/logs/?{parameter}={value}")

    assert answer.status_code == 400
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [f"/query/{parameter}"]


@pytest.mark.parametrize(("accept", "ending"), [("text/plain", "log"), ("application/json", "jsonl")])
def test_a_log_may_be_downloaded(api, running, accept, ending):
    answer = api.get(f"/api/runs/{running.name}/logs/?download=true", headers={"Accept": accept})

    assert answer.headers["Content-Disposition"] == f'attachment; filename="{running.name}.{ending}"'
    assert "hello" in text_of(answer)


def test_streams_cannot_be_chosen_where_the_engine_has_them_as_one(api, running, engine, monkeypatch):
    monkeypatch.setattr(engine, "tells_streams", False)

    answer = api.get(f"/api/runs/{running.name}/logs/?stream=stdout")

    assert answer.status_code == 400
    assert "does not tell a container's two outputs apart" in answer.json()["errors"][0]["detail"]


def test_logs_are_json_lines_where_json_is_accepted(api, running):
    answer = api.get(f"/api/runs/{running.name}/logs/?node=a", headers={"Accept": "application/json"})

    lines = [json.loads(line) for line in text_of(answer).splitlines()]
    assert [(line["node"], line["step"], line["container"], line["stream"], line["text"]) for line in lines] == [
        ("a", "first", "main", "stdout", "hello"), ("a", "first", "main", "stderr", "bye"),
    ]  # fmt: skip


@pytest.mark.parametrize("query", ["node=nowhere", "follow=maybe", "head=3"])
def test_logs_refuse_what_they_do_not_know(api, running, query):
    assert api.get(f"/api/runs/{running.name}/logs/?{query}").status_code in (400, 404)


@pytest.mark.parametrize("follow", ["", "?follow=true"])
def test_logs_that_the_engine_has_forgotten_are_not_found(api, running, engine, follow):
    engine.vanish(running.name)

    assert api.get(f"/api/runs/{running.name}/logs/{follow}").status_code == 404


def test_logs_of_an_engine_that_is_away_are_not_available(api, running, engine):
    engine.say("down")

    assert api.get(f"/api/runs/{running.name}/logs/?follow=true").status_code == 503


@pytest.mark.parametrize("follow", ["", "?follow=true"])
def test_logs_of_an_engine_that_is_configured_no_more_are_not_found(api, running, settings, follow):
    settings.ENGINES = {}

    answer = api.get(f"/api/runs/{running.name}/logs/{follow}")

    assert answer.status_code == 404
    assert "not configured" in answer.json()["detail"]


def test_a_queued_run_has_no_logs_yet(api, make_run):
    assert text_of(api.get(f"/api/runs/{make_run().name}/logs/")) == ""


def test_following_ends_with_the_run(api, running, engine):
    answer = api.get(f"/api/runs/{running.name}/logs/?follow=true&node=a&prefix=false")
    content = iter(answer.streaming_content)

    assert next(content) == b"hello\n"
    engine.set_phase(running.name, WorkflowPhase.SUCCEEDED)

    assert list(content) == [b"bye\n"]


def test_following_a_run_that_never_starts_ends(api, make_run):
    run = make_run()
    run_stop(run_id=run.pk)

    assert text_of(api.get(f"/api/runs/{run.name}/logs/?follow=true")) == ""


@pytest.mark.django_db(transaction=True)
def test_following_a_queued_run_waits_for_its_workflow(api, make_run, status_of, engine):
    run = make_run()
    status = status_of(run, WorkflowPhase.SUCCEEDED)

    def start():
        engine.put(run.name, WorkflowPhase.SUCCEEDED)
        run_observe(run_id=run.pk, status=status)
        connections.close_all()

    answer = api.get(f"/api/runs/{run.name}/logs/?follow=true&prefix=false")
    thread = threading.Timer(0.05, start)
    thread.start()

    assert text_of(answer) == "hello\nbye\n"
    thread.join()
    assert WorkflowRun.objects.get(pk=run.pk).phase == "succeeded"


def test_nobody_reads_runs_without_a_token(client, db):
    assert client.get("/api/runs/").status_code in (401, 403)
