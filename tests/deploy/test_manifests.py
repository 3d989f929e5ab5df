"""What the manifests of deploy/kubernetes/ promise each other and the service."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.deploy.conftest import (
    KUBERNETES,
    SERVICE_NAMESPACE,
    WORKFLOW_NAMESPACE,
    Json,
    applied_objects,
    kustomization,
    objects_of,
    pod_templates,
)
from tests.orchestrator_api.test_configuration import variables_read

TEMPLATES = pod_templates()
PERMANENT = ("orchestrator-api", "orchestrator-controller")


def container_of(template: Json) -> Json:
    (found,) = template["spec"]["containers"]
    return found


def of_kind(kind: str) -> list[Json]:
    return [each for each in applied_objects() if each["kind"] == kind]


def settings() -> dict[str, str]:
    (found,) = of_kind("ConfigMap")
    return found["data"]


def named(kind: str, name: str) -> Json:
    (found,) = (each for each in of_kind(kind) if each["metadata"]["name"] == name)
    return found


def test_every_file_is_applied_but_the_example() -> None:
    files = {path.name for path in KUBERNETES.glob("*.yaml")}

    assert files == {*kustomization()["resources"], "kustomization.yaml", "secrets.example.yaml"}


def test_every_image_is_one_that_the_kustomization_names() -> None:
    (image,) = kustomization()["images"]

    assert {container_of(template)["image"] for template in TEMPLATES.values()} == {image["name"]}


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_each_container_is_bounded_and_writes_only_to_its_volumes(name: str) -> None:
    container = container_of(TEMPLATES[name])

    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("name", PERMANENT)
def test_what_runs_for_ever_is_watched_and_one_may_always_go(name: str) -> None:
    deployment, budget = named("Deployment", name), named("PodDisruptionBudget", name)

    assert "livenessProbe" in container_of(TEMPLATES[name])
    assert budget["spec"]["minAvailable"] < deployment["spec"]["replicas"]


def selectors() -> Iterator[Json]:
    """Yield every choice of pods of the service by their labels."""
    for service in of_kind("Service"):
        yield service["spec"]["selector"]
    for each in [*of_kind("Deployment"), *of_kind("PodDisruptionBudget")]:
        yield each["spec"]["selector"]["matchLabels"]
    for policy in of_kind("NetworkPolicy"):
        if policy["metadata"]["namespace"] == SERVICE_NAMESPACE and "matchLabels" in policy["spec"]["podSelector"]:
            yield policy["spec"]["podSelector"]["matchLabels"]
        for rule in [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]:
            for peer in [*rule.get("from", []), *rule.get("to", [])]:
                if "podSelector" in peer:
                    yield peer["podSelector"]["matchLabels"]


def test_every_selector_finds_a_pod() -> None:
    labels = [template["metadata"]["labels"].items() for template in TEMPLATES.values()]

    for selector in selectors():
        assert any(selector.items() <= each for each in labels), selector


def test_every_service_account_and_role_that_is_named_exists() -> None:
    accounts = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in of_kind("ServiceAccount")}
    roles = {
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
        for each in [*of_kind("Role"), *of_kind("ClusterRole")]
    }
    used = [template["spec"]["serviceAccountName"] for name, template in TEMPLATES.items() if name in PERMANENT]
    for binding in [*of_kind("RoleBinding"), *of_kind("ClusterRoleBinding")]:
        reference = binding["roleRef"]
        assert (reference["kind"], binding["metadata"].get("namespace"), reference["name"]) in roles
        assert {(each["namespace"], each["name"]) for each in binding["subjects"]} <= accounts

    assert {(SERVICE_NAMESPACE, name) for name in used} <= accounts


def test_every_setting_is_one_that_the_service_reads() -> None:
    (secret,) = objects_of("secrets.example.yaml")

    assert {*settings(), *secret["stringData"]} <= variables_read()


def test_no_secret_has_a_value() -> None:
    (secret,) = objects_of("secrets.example.yaml")

    assert set(secret["stringData"].values()) == {""}


def test_workflows_and_probes_find_the_api_where_it_is() -> None:
    (service,) = of_kind("Service")
    (port,) = service["spec"]["ports"]
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    probes = [probe for key, probe in container_of(TEMPLATES["orchestrator-api"]).items() if key.endswith("Probe")]

    assert settings()["ORCHESTRATOR_API_HOSTNAME"] == f"{host}:{port['port']}"
    assert settings()["ALLOWED_HOSTS"].split(",")[0] == host
    assert len(probes) == 3
    assert {header["value"] for probe in probes for header in probe["httpGet"]["httpHeaders"]} == {host}


def test_workflows_run_in_the_namespace_that_the_roles_are_for() -> None:
    assert settings()["ARGO_NAMESPACE"] == WORKFLOW_NAMESPACE
    assert {each["metadata"]["namespace"] for each in of_kind("Role")} == {WORKFLOW_NAMESPACE}


def test_the_pods_of_workflows_run_as_the_account_that_the_shipped_manifests_name() -> None:
    manifests = KUBERNETES.parents[1] / "templates" / "manifests"
    text = "".join(path.read_text() for path in manifests.glob("*.yaml"))
    accounts = [each for each in of_kind("ServiceAccount") if each["metadata"]["namespace"] == WORKFLOW_NAMESPACE]

    assert {each["metadata"]["name"] for each in accounts} == set(re.findall(r"serviceAccountName: (\S+)", text))
