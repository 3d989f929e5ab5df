"""Workflows as Kubernetes keeps them, read from what a real Argo wrote."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from engines.argo.client import Refused
from engines.argo.options import Options
from engines.argo.workflows import is_name, pointer_of, rejection, status_of, to_send
from engines.base import ManifestRejected, Submission, WorkflowPhase
from tests.engines.argo.behaviours import recording, recordings


@pytest.mark.parametrize("name", recordings())
def test_a_recorded_workflow_is_read_as_argo_wrote_it(name: str) -> None:
    for event in recording(name):
        found = event["object"]
        written = found.get("status", {})

        status = status_of(found)

        assert (status.name, status.uid, status.version) == tuple(
            found["metadata"][key] for key in ("name", "uid", "resourceVersion")
        )
        assert status.phase == written.get("phase", "Pending")
        assert (status.message, status.progress) == (written.get("message", ""), written.get("progress", ""))
        assert (status.started_at, status.finished_at) == (written.get("startedAt"), written.get("finishedAt"))
        assert status.nodes == written.get("nodes", {})


def test_packed_nodes_are_unpacked() -> None:
    nodes = {"wf": {"id": "wf", "phase": "Running"}}
    packed = base64.b64encode(gzip.compress(json.dumps(nodes).encode())).decode()

    assert status_of(workflow(phase="Running", compressedNodes=packed)).nodes == nodes


@pytest.mark.parametrize(
    "packed",
    ["not base64!", "bm90IGd6aXA=", base64.b64encode(gzip.compress(b"{", mtime=0)).decode()],
    ids=["not base64", "not gzip", "not JSON"],
)
def test_nodes_that_cannot_be_unpacked_do_not_hide_the_phase(packed: str) -> None:
    status = status_of(workflow(phase="Succeeded", compressedNodes=packed))

    assert (status.phase, status.nodes) == (WorkflowPhase.SUCCEEDED, {})


@pytest.mark.parametrize(
    ("field", "pointer"),
    [
        ("metadata.labels", "/metadata/labels"),
        ("spec.templates[0].name", "/spec/templates/0/name"),
        ("metadata.annotations[a/b~c]", "/metadata/annotations/a~1b~0c"),
        ("metadata.labels[app.kubernetes.io/name]", "/metadata/labels/app.kubernetes.io~1name"),
        ("<nil>", ""),
        ("", ""),
    ],
)
def test_a_servers_field_becomes_a_pointer(field: str, pointer: str) -> None:
    assert pointer_of(field) == pointer


def test_the_first_cause_is_pointed_at() -> None:
    causes = [{"field": "spec.entrypoint"}, {"field": "spec.templates"}]

    found = rejection(Refused(422, {"message": "it is invalid", "details": {"causes": causes}}))

    assert isinstance(found, ManifestRejected)
    assert (str(found), found.pointer) == ("it is invalid", "/spec/entrypoint")


@pytest.mark.parametrize(
    ("status", "message", "rejects"),
    [
        (400, "no such thing", True),
        (500, "etcdserver: request is too large", True),
        (500, "internal error", False),
        (403, "forbidden", False),
    ],
)
def test_only_what_a_manifest_can_mend_rejects_it(status: int, message: str, rejects: bool) -> None:
    assert (rejection(Refused(status, {"message": message})) is not None) == rejects


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", "-a", "a-", "a" * 254])
def test_what_no_workflow_is_named(name: str) -> None:
    assert not is_name(name)


def workflow(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "wf"}, "spec": {}, "status": status}


@pytest.mark.parametrize(
    ("spec", "sent"),
    [
        (
            {"ttlStrategy": {"secondsAfterSuccess": 0, "secondsAfterFailure": 1200}},
            {"ttlStrategy": {"secondsAfterSuccess": 30, "secondsAfterFailure": 1200}},
        ),
        (
            {"podGC": {"strategy": "OnPodCompletion", "labelSelector": {"matchLabels": {"a": "b"}}}},
            {
                "podGC": {
                    "strategy": "OnWorkflowCompletion",
                    "deleteDelayDuration": "30s",
                    "labelSelector": {"matchLabels": {"a": "b"}},
                }
            },
        ),
        ({"podGC": {}}, {"podGC": {}}),
    ],
)
def test_pods_stay_until_their_logs_can_be_copied(spec: dict[str, Any], sent: dict[str, Any]) -> None:
    manifest = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "spec": {"entrypoint": "main", **spec}}

    found = to_send(Submission("wf", manifest), Options.read({}))["spec"]

    assert {key: found[key] for key in sent} == sent
