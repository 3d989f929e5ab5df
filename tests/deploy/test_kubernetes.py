"""deploy/kubernetes/ as a real API server takes it."""

from __future__ import annotations

import pytest

from tests.deploy.conftest import (
    COMPONENTS,
    SERVICE_NAMESPACE,
    applied_objects,
    collection,
    component_objects,
    objects_of,
    pod_templates,
)
from tests.services.api import ApiError
from tests.services.kubernetes import ApiServer

pytestmark = pytest.mark.kubernetes


def test_it_is_taken_whole(installed: ApiServer) -> None:
    for each in [*applied_objects(), *component_objects(*COMPONENTS)]:
        found = installed.api.get(f"{collection(each)}/{each['metadata']['name']}")
        assert found["metadata"]["name"] == each["metadata"]["name"]


def test_the_example_of_the_secrets_is_one(installed: ApiServer) -> None:
    (secret,) = objects_of("secrets.example.yaml")

    made = installed.api.post(f"{collection(secret)}?fieldValidation=Strict&dryRun=All", secret)

    assert made["metadata"]["name"] == secret["metadata"]["name"]


def test_a_field_that_does_not_exist_would_be_noticed(installed: ApiServer) -> None:
    (deployment,) = (each for each in objects_of("controller.yaml") if each["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["readOnly"] = True

    with pytest.raises(ApiError) as refusal:
        installed.api.post(f"{collection(deployment)}?fieldValidation=Strict&dryRun=All", deployment)

    assert refusal.value.status == 400


@pytest.mark.parametrize("name", sorted(pod_templates()))
def test_each_pod_keeps_to_the_strictest_pod_security_standard(installed: ApiServer, name: str) -> None:
    pod = {"metadata": {**pod_templates()[name]["metadata"], "name": name}, "spec": pod_templates()[name]["spec"]}

    made = installed.api.post(f"/api/v1/namespaces/{SERVICE_NAMESPACE}/pods?dryRun=All", pod)

    assert made["metadata"]["namespace"] == SERVICE_NAMESPACE


def test_a_pod_that_runs_as_root_is_not_let_in(installed: ApiServer) -> None:
    pod = {"metadata": {"name": "root"}, "spec": pod_templates()["orchestrator-api"]["spec"]}
    pod["spec"]["securityContext"]["runAsNonRoot"] = False

    with pytest.raises(ApiError) as refusal:
        installed.api.post(f"/api/v1/namespaces/{SERVICE_NAMESPACE}/pods?dryRun=All", pod)

    assert refusal.value.status == 403
