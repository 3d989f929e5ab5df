"""Suspended runs go on where the caller says, and only where they wait."""

import pytest

from engines.base import WorkflowPhase
from runs.explanations import MAX_MESSAGE
from runs.models import RunEvent
from runs.services import run_observe, run_stop
from tests.runs.conftest import MANIFEST
from web.grants import WorkflowGrant

pytestmark = pytest.mark.django_db


def suspended(step: str, phase: str = "Running") -> dict:
    return {"id": f"id-{step}", "displayName": step, "type": "Suspend", "phase": phase}


NODES = {
    "id-approve": suspended("approve"),
    "id-2": {**suspended("twice"), "id": "id-2"},
    "id-3": {**suspended("twice"), "id": "id-3"},
    "id-over": suspended("over", "Succeeded"),
    "id-train": {"id": "id-train", "displayName": "train", "type": "Pod", "phase": "Running"},
}


@pytest.fixture
def run(make_run, status_of, engine):
    run = make_run()
    engine.put(run.name)
    engine.set_phase(run.name, WorkflowPhase.RUNNING, nodes=NODES)
    return run_observe(run_id=run.pk, status=status_of(run, nodes=NODES))


@pytest.fixture
def resume(api, run):
    return lambda document=None: api.post(f"/api/runs/{run.name}/resume/", document, format="json")


def resumed(engine) -> list[str]:
    return [call for call in engine.calls if call.startswith("resume")]


@pytest.mark.parametrize("name", ["approve", "id-approve"])
def test_one_node_goes_on(resume, run, engine, name):
    answer = resume({"node": name})

    assert answer.status_code == 200
    assert answer.json()["name"] == run.name
    assert answer.json()["events"][-1]["message"] == "Resumed approve."
    assert answer.json()["events"][-1]["cause"] == "api"
    assert resumed(engine) == [f"resume id-approve {run.name}"]


def test_all_nodes_go_on(resume, run, engine):
    assert resume().status_code == 200
    assert resume({}).status_code == 200

    assert resumed(engine) == [f"resume {run.name}"] * 2
    assert RunEvent.objects.latest("id").message == "Resumed approve, twice, twice."


def test_names_of_nodes_are_cut_and_hold_no_nul(api, make_run, status_of, engine):
    run = make_run()
    engine.put(run.name)
    engine.set_phase(run.name, WorkflowPhase.RUNNING, nodes={"id-x": {**suspended("x"), "displayName": "\0" * 9000}})
    run_observe(run_id=run.pk, status=status_of(run, nodes={}))

    assert api.post(f"/api/runs/{run.name}/resume/").status_code == 200
    message = RunEvent.objects.latest("id").message
    assert "\0" not in message
    assert len(message) == MAX_MESSAGE


def test_a_workflow_that_is_suspended_as_a_whole_goes_on(api, make_run, status_of, engine):
    run = make_run(manifest={**MANIFEST, "spec": {"entrypoint": "main", "suspend": True}})
    engine.put(run.name)
    run_observe(run_id=run.pk, status=status_of(run, nodes={}))

    assert api.post(f"/api/runs/{run.name}/resume/").status_code == 200
    assert resumed(engine) == [f"resume {run.name}"]


@pytest.mark.parametrize(
    ("document", "status", "pointer"),
    [
        ({"node": "nothing"}, 400, "/data/node"),
        ({"node": "twice"}, 400, "/data/node"),
        ({"node": ""}, 400, "/data/node"),
        ({"node": 3}, 400, "/data/node"),
        ({"nodes": ["approve"]}, 400, "/data/nodes"),
        ({"node": "over"}, 409, None),
        ({"node": "train"}, 409, None),
    ],
)
def test_what_does_not_wait_is_not_resumed(resume, engine, document, status, pointer):
    answer = resume(document)

    assert answer.status_code == status
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ([pointer] if pointer else [])
    assert resumed(engine) == []


def test_a_run_that_waits_nowhere_is_not_resumed(api, make_run, run, engine, status_of):
    engine.set_phase(run.name, WorkflowPhase.RUNNING, nodes={})
    urls = [f"/api/runs/{each.name}/resume/" for each in (run, make_run())]
    assert [api.post(url).status_code for url in urls] == [409, 409]

    engine.set_phase(run.name, WorkflowPhase.RUNNING, nodes=NODES)
    run_stop(run_id=run.pk)
    assert api.post(urls[0]).status_code == 409
    assert api.post("/api/runs/nothing/resume/").status_code == 404
    assert resumed(engine) == []


def test_an_engine_that_is_away_or_has_lost_it_is_told(resume, run, engine):
    engine.say("down")
    assert resume().status_code == 503
    engine.unsay("down")
    engine.vanish(run.name)

    assert resume().status_code == 409
    assert not RunEvent.objects.filter(message__startswith="Resumed").exists()


def test_a_workflow_does_not_resume_itself(api, run, engine):
    api.force_authenticate(token=WorkflowGrant("test", run.owner_id, attempt=1, name=run.name))

    assert api.post(f"/api/runs/{run.name}/resume/").status_code == 403
    assert resumed(engine) == []
