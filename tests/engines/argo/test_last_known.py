"""What is left of a Workflow that is gone: the events that Argo wrote about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engines.argo.engine import ArgoEngine
from engines.argo.last_known import last_known
from engines.base import EngineUnavailable, Submission, WorkflowPhase, WorkflowStatus
from tests.engines.argo.behaviours import BEHAVIOUR_ANNOTATION, Pace
from tests.engines.argo.standin import ArgoStandin
from tests.engines.contract import manifest, wait_until_gone
from tests.services.kubernetes import ApiServer

PATIENCE_SECONDS = 30.0


def event(reason: str, message: str = "Workflow completed", uid: str = "u1", second: int = 0) -> dict[str, Any]:
    about = {"kind": "Workflow", "name": "wf", "uid": uid}
    seen_at = f"2026-11-21T12:00:{second:02}Z"
    return {"reason": reason, "message": message, "involvedObject": about, "lastTimestamp": seen_at}


def test_an_event_tells_a_success() -> None:
    events = [event("WorkflowRunning"), event("WorkflowSucceeded", second=9), event("WorkflowNodeSucceeded")]

    ending = WorkflowStatus("wf", WorkflowPhase.SUCCEEDED, finished_at="2026-11-21T12:00:09Z", uid="u1")
    assert last_known("wf", "u1", events) == last_known("wf", "", events) == ending


def test_an_event_tells_a_failure_in_its_words() -> None:
    ending = last_known("wf", "u1", [event("WorkflowFailed", "child failed")])

    assert ending is not None
    assert (ending.phase, ending.message) == (WorkflowPhase.FAILED, "child failed")


@pytest.mark.parametrize(
    "events",
    [[], [event("WorkflowRunning", uid="u2")], [event("WorkflowNodeFailed")], [event("WorkflowSucceeded", uid="u2")]],
)
def test_without_an_event_of_its_own_nothing_is_known(events: list[dict[str, Any]]) -> None:
    assert last_known("wf", "u1", events) is None


def test_an_event_tells_that_a_workflow_without_an_end_ran() -> None:
    began = WorkflowStatus("wf", WorkflowPhase.RUNNING, started_at="2026-11-21T12:00:03Z", uid="u1")

    assert last_known("wf", "", [event("WorkflowNodeRunning", second=4), event("WorkflowRunning", second=3)]) == began


def test_the_last_end_counts() -> None:
    ending = last_known("wf", "u1", [event("WorkflowSucceeded", second=8), event("WorkflowFailed", second=3)])

    assert ending is not None
    assert ending.phase is WorkflowPhase.SUCCEEDED


@pytest.fixture
def run_until_gone(argo: ArgoEngine, api_server: ApiServer, namespace: str) -> Callable[[str], str]:
    """Return a function that runs the Workflow `wf` by a behaviour until it is gone, and returns its uid."""

    def run(behaviour: str) -> str:
        wanted = manifest("wf", "true")
        wanted["metadata"]["annotations"] = {BEHAVIOUR_ANNOTATION: behaviour}
        with ArgoStandin(api_server.api, namespace, Pace(expiry_seconds=0.1)):
            uid = argo.submit(Submission("wf", wanted)).uid
            wait_until_gone(argo, "wf", PATIENCE_SECONDS)
        return uid

    return run


@pytest.mark.kubernetes
def test_the_end_of_a_workflow_that_has_expired_is_known(
    argo: ArgoEngine, run_until_gone: Callable[[str], str]
) -> None:
    uid = run_until_gone("expire")

    ending = argo.last_known("wf", uid)

    assert ending is not None
    assert (ending.name, ending.phase, ending.uid) == ("wf", WorkflowPhase.SUCCEEDED, uid)
    assert ending.finished_at
    assert argo.last_known("wf", "another") is None
    assert argo.last_known("never-was") is argo.last_known("No, name") is None


@pytest.mark.kubernetes
def test_that_a_workflow_ran_is_known_after_somebody_deleted_it(
    argo: ArgoEngine, run_until_gone: Callable[[str], str]
) -> None:
    uid = run_until_gone("vanish")

    known = argo.last_known("wf")

    assert known is not None
    assert (known.phase, known.uid, known.finished_at) == (WorkflowPhase.RUNNING, uid, None)
    assert known.started_at


@pytest.mark.kubernetes
def test_without_the_right_to_read_events_nothing_is_known(
    make_argo: Callable[..., ArgoEngine], api_server: ApiServer, namespace: str
) -> None:
    api_server.api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "nobody"}})
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/nobody/token"
    token = api_server.api.post(path, {"spec": {"expirationSeconds": 600}})["status"]["token"]
    engine = make_argo(kubeconfig=str(api_server.write_kubeconfig("nobody", token=token)))

    assert engine.last_known("wf") is None


@pytest.mark.kubernetes
def test_an_end_that_cannot_be_looked_up_now_is_not_taken_for_none(
    make_argo: Callable[..., ArgoEngine], api_server: ApiServer
) -> None:
    away = api_server.write_kubeconfig("away", token=api_server.token, server="https://127.0.0.1:1")

    with pytest.raises(EngineUnavailable):
        make_argo(kubeconfig=str(away)).last_known("wf")
