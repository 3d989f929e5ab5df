"""The stand-in for Argo does what a real controller does, as far as other tests rely on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.engines.argo.behaviours import BEHAVIOUR_ANNOTATION, Object, Pace
from tests.engines.argo.references import references
from tests.engines.argo.standin import COMPLETED_LABEL, INSTANCE_LABEL, PHASE_LABEL, ArgoStandin
from tests.services.api import ApiError
from tests.services.kubernetes import WORKFLOWS, ApiServer

pytestmark = pytest.mark.kubernetes
PATIENCE_SECONDS = 30.0
NEEDS_SECRET = {"env": [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "needed", "key": "t"}}}]}


@pytest.fixture
def standin(api_server: ApiServer, namespace: str) -> Iterator[ArgoStandin]:
    with ArgoStandin(api_server.api, namespace, Pace(step_seconds=0.01, expiry_seconds=0.01)) as standin:
        yield standin


@pytest.fixture
def create(api_server: ApiServer, namespace: str) -> Callable[..., Object]:
    """Return a function that creates a Workflow of some behaviour."""

    def create(behaviour: str, labels: dict[str, str] | None = None, **spec: Any) -> Object:
        metadata = {"name": "wf", "labels": labels or {}, "annotations": {BEHAVIOUR_ANNOTATION: behaviour}}
        kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow"}
        return api_server.api.post(WORKFLOWS.format(namespace=namespace), {**kind, "metadata": metadata, "spec": spec})

    return create


@pytest.fixture
def wait_for(api_server: ApiServer, namespace: str) -> Callable[[Callable[[Object], bool]], Object]:
    """Return a function that waits until the Workflow is as wanted; one that is gone has an empty status."""

    def wait_for(wanted: Callable[[Object], bool]) -> Object:
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            try:
                found = api_server.api.get(f"{WORKFLOWS.format(namespace=namespace)}/wf")
            except ApiError as error:
                found = {"gone": error.status == 404}
            if wanted(found):
                return found
            time.sleep(0.01)
        raise AssertionError(found)

    return wait_for


def phase(found: Object) -> str:
    return str(found.get("status", {}).get("phase", ""))


def test_it_drives_a_workflow_to_its_end(standin: ArgoStandin, create: Any, wait_for: Any) -> None:
    uid = create("succeed")["metadata"]["uid"]

    found = wait_for(lambda found: phase(found) == "Succeeded")

    labels = found["metadata"]["labels"]
    assert (labels[PHASE_LABEL], labels[COMPLETED_LABEL]) == ("Succeeded", "true")
    assert standin.created["wf"] == [uid]


def test_a_suspended_workflow_heeds_no_shutdown(
    standin: ArgoStandin, create: Any, wait_for: Any, api_server: ApiServer, namespace: str
) -> None:
    create("succeed", suspend=True, shutdown="Stop")
    found = wait_for(lambda found: phase(found) == "Running")
    assert found["status"]["nodes"] == {}

    api_server.api.patch(f"{WORKFLOWS.format(namespace=namespace)}/wf", {"spec": {"suspend": None}})

    wait_for(lambda found: phase(found) in ("Succeeded", "Failed"))


def test_a_workflow_of_another_controller_is_left_alone(
    standin: ArgoStandin, create: Any, wait_for: Any, api_server: ApiServer, namespace: str
) -> None:
    path = f"{WORKFLOWS.format(namespace=namespace)}/wf"
    create("succeed", labels={INSTANCE_LABEL: "another"})
    wait_for(lambda found: standin.created["wf"])
    assert phase(api_server.api.get(path)) == ""

    api_server.api.patch(path, {"metadata": {"labels": {INSTANCE_LABEL: None}}})

    wait_for(lambda found: phase(found) == "Succeeded")


def test_a_shutdown_ends_what_runs(
    standin: ArgoStandin, create: Any, wait_for: Any, api_server: ApiServer, namespace: str
) -> None:
    create("hold")
    wait_for(lambda found: phase(found) == "Running")

    api_server.api.patch(f"{WORKFLOWS.format(namespace=namespace)}/wf", {"spec": {"shutdown": "Terminate"}})

    found = wait_for(lambda found: phase(found) == "Failed")
    assert found["status"]["message"] == "Stopped with strategy 'Terminate'"


def test_what_a_pod_needs_must_be_there(standin: ArgoStandin, create: Any, wait_for: Any) -> None:
    create("succeed", templates=[{"name": "main", "container": NEEDS_SECRET}])

    assert wait_for(lambda found: phase(found) == "Failed")["status"]["message"] == "secrets/needed is missing"


def test_what_a_deleted_workflow_owned_goes_with_it(
    standin: ArgoStandin, create: Any, wait_for: Any, api_server: ApiServer, namespace: str
) -> None:
    uid = create("expire")["metadata"]["uid"]
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "wf", "uid": uid}
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    api_server.api.post(secrets, {"metadata": {"name": "owned", "ownerReferences": [owner]}})
    api_server.api.post(secrets, {"metadata": {"name": "unowned"}})
    wait_for(lambda found: found.get("gone", False))
    assert standin.leftovers() == ["secrets/owned", "secrets/unowned"]

    standin.collect_garbage()

    assert standin.leftovers() == ["secrets/unowned"]


def test_names_may_come_from_parameters() -> None:
    spec = {
        "arguments": {"parameters": [{"name": "variables", "value": "run-1-platform"}]},
        "templates": [{"container": {"envFrom": [{"configMapRef": {"name": "{{workflow.parameters.variables}}"}}]}}],
        "volumes": [{"name": "v", "secret": {"secretName": "plain"}}, {"configMap": {"name": "x", "optional": True}}],
    }

    assert references(spec) == {("configmaps", "run-1-platform"), ("secrets", "plain")}
