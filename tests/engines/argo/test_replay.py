"""What a real Argo answered in 32 situations, played again to the engine and a controller by a real API server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections

from engines.base import Engine
from runs import engines, owners
from runs.controller import Controller
from runs.models import RunPhase, RunReason, WorkflowRun
from runs.owners import Attachments, RunOwner
from runs.services import run_create, run_stop
from tests.engines.argo.behaviours import BEHAVIOUR_ANNOTATION, Pace, recording, recordings
from tests.engines.argo.standin import ArgoStandin
from tests.services.kubernetes import ApiServer

pytestmark = [pytest.mark.kubernetes, pytest.mark.django_db(transaction=True)]
PATIENCE_SECONDS = 60.0

SUCCEEDED = (RunPhase.SUCCEEDED, RunReason.NONE)
FAILED = (RunPhase.FAILED, RunReason.ENGINE)
GONE = "The Workflow disappeared from the engine before its end was seen."
# How each recording's run ends: phase, reason, message; what the engine said on the way, where the end does not say it.
EXPECTED: dict[str, tuple[tuple[RunPhase, RunReason], str]] = {
    "container-set": (SUCCEEDED, ""),
    "container-set-fails": (
        FAILED,
        'container-set-fails: after: Error (exit code 64): dependency "main" exited with non-zero code: 3. '
        "Step container-set-fails, container main (exit code 3), wrote no log.",
    ),
    "dag-fan-out": (SUCCEEDED, ""),
    "defaults-with-node-selector": (SUCCEEDED, ""),
    "empty-loop": (SUCCEEDED, ""),
    "expressions": (SUCCEEDED, ""),
    "fails-with-exit-handler": (
        FAILED,
        "child 'fails-with-exit-handler-2340339696' failed (work: main: Error (exit code 4)). "
        "Step work, container main (exit code 4), wrote no log.",
    ),
    "hooks-of-steps": (SUCCEEDED, ""),
    "loop-with-outputs": (SUCCEEDED, ""),
    "lost-pod-retried": (SUCCEEDED, ""),
    "memoized": (SUCCEEDED, ""),
    "omitted-and-skipped": (
        FAILED,
        "A: main: Error (exit code 1). Step A, container main (exit code 1), wrote no log.",
    ),
    "retry-by-expression": (
        FAILED,
        "retryStrategy.expression evaluated to false (retry-by-expression(0): main: Error (exit code 1)). "
        "Step retry-by-expression(1), container main (exit code 2), wrote no log.",
    ),
    "deleted-while-running": ((RunPhase.LOST, RunReason.LOST), f"{GONE} Last known: running, 0/1 nodes ended"),
    "image-missing-deadline": (
        FAILED,
        "image-missing-deadline: Pod was active on the node longer than the specified deadline"
        ' (before that: ErrImagePull: failed to pull and unpack image "example.invalid/none:1":'
        ' failed to resolve reference "example.invalid/none:1": failed to do request:'
        ' Head "https://example.invalid/v2/none/manifests/1": dial tcp: lookup example.invalid on'
        " 10.255.255.53:53: read udp 10.99.0.1:47559->10.255.255.53:53: i/o timeout)",
    ),
    "invalid-template-reference": (
        FAILED,
        "invalid spec: templates.main.steps[0].x template name 'does-not-exist' undefined",
    ),
    "missing-parameter": (
        FAILED,
        "invalid spec: templates.main: failed to resolve {{workflow.parameters.absent}}",
    ),
    "oom-killed": (
        FAILED,
        "oom-killed: main: OOMKilled (exit code 137). Step oom-killed, container main (exit code 137), wrote no log. "
        "The container used more memory than its limit: raise the limit, or give the container less data.",
    ),
    "output-parameter": (SUCCEEDED, ""),
    "pod-deleted": (SUCCEEDED, ""),
    "retry-exhausted": (
        FAILED,
        "No more retries left (retry-exhausted(0): main: Error (exit code 7)). "
        "Step retry-exhausted(1), container main (exit code 7), wrote no log.",
    ),
    "retry-then-succeed": (SUCCEEDED, ""),
    "sidecar-and-init": (SUCCEEDED, ""),
    "step-fails": (
        FAILED,
        "child 'step-fails-1755976867' failed (bad: main: Error (exit code 3)). "
        "Step bad, container main (exit code 3), wrote no log.",
    ),
    "steps-succeed": (SUCCEEDED, ""),
    "stopped-with-exit-handler": ((RunPhase.STOPPED, RunReason.STOPPED), "Stopped with strategy 'Stop'"),
    "suspend-resumed": (SUCCEEDED, ""),
    "template-deadline-while-running": (
        FAILED,
        "child 'template-deadline-while-running-2285894449' failed "
        "(slow: Pod was active on the node longer than the specified deadline)",
    ),
    "terminated": ((RunPhase.STOPPED, RunReason.STOPPED), "Stopped with strategy 'Terminate'"),
    "ttl-deletes": (SUCCEEDED, ""),
    "unschedulable-deadline": (
        FAILED,
        "unschedulable-deadline: Step exceeded its deadline (before that: Unschedulable: 0/1 nodes are available:"
        " 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption:"
        " 0/1 nodes are available: 1 Preemption is not helpful for scheduling.)",
    ),
    "with-semaphore": (SUCCEEDED, ""),
}


@pytest.fixture
def engine(api_server: ApiServer, namespace: str, settings: Any) -> Iterator[Engine]:
    options = {"kubeconfig": str(api_server.kubeconfig), "namespace": namespace, "requests_per_second": 200}
    settings.ENGINES = {"argo": {"class": "engines.argo.ArgoEngine", "options": options}}
    settings.ENGINE = "argo"
    # Whatever was recorded may run here: what a policy says of it is asked elsewhere.
    settings.MANIFEST_ALLOWED_FIELDS = dict.fromkeys(["/spec", "/metadata/labels", "/metadata/annotations"])
    engines.forget_engines()
    yield engines.get_engine("argo")
    engines.forget_engines()


@pytest.fixture
def controller(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a controller; nothing but its watch is in time, since it sweeps and reconciles later.

    It writes what a Workflow's nodes say every 0.2 s at most, so the stand-in is slower than that.
    """
    monkeypatch.setattr(owners, "_owners", {"test": _Owner()})
    controller = Controller([engine], sweep_seconds=1000, reconcile_seconds=1000)
    thread = threading.Thread(target=controller.run)
    thread.start()
    yield
    controller.stop()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    connections.close_all()


class _Owner(RunOwner):
    def prepare(self, run: WorkflowRun) -> Attachments:
        return Attachments(secrets={f"{run.name}-callback": {"token": "secret"}})


def wait_for(run: WorkflowRun, wanted: Callable[[WorkflowRun], bool]) -> WorkflowRun:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = WorkflowRun.objects.get(pk=run.pk)
        if wanted(found):
            return found
        time.sleep(0.02)
    raise AssertionError(f"{found.phase}: {found.message}")


def replay(name: str, **given: Any) -> WorkflowRun:
    """Queue a run of a recording's manifest, under the recording's name."""
    recorded = recording(name)[0]["object"]
    metadata = {"labels": recorded["metadata"]["labels"], "annotations": {BEHAVIOUR_ANNOTATION: f"recording:{name}"}}
    kind = {"apiVersion": recorded["apiVersion"], "kind": recorded["kind"]}
    manifest = {**kind, "metadata": metadata, "spec": recorded["spec"]}
    config_maps = {f"{name}-platform": {"variable": "value"}}
    return run_create(owner_kind="test", owner_id=1, name=name, manifest=manifest, config_maps=config_maps, **given)


def test_every_recording_is_played() -> None:
    assert sorted(EXPECTED) == recordings()


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_recording_ends_as_it_should(name: str, api_server: ApiServer, namespace: str, controller: None) -> None:
    (phase, reason), message = EXPECTED[name]
    with ArgoStandin(api_server.api, namespace, Pace(step_seconds=0.4)) as standin:
        run = replay(name)
        if phase == RunPhase.STOPPED:
            # Before a pod runs, the stand-in would end the Workflow itself in place of playing the recording.
            wait_for(run, lambda run: any(node.get("phase") == "Running" for node in run.nodes.values()))
            run_stop(run_id=run.pk)
        run = wait_for(run, lambda run: run.released_at is not None)

    assert (run.phase, run.reason, run.message) == (phase, reason, message)
    assert len(standin.created[name]) == 1
    standin.collect_garbage()
    assert standin.leftovers() == []
