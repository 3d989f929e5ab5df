"""What the manifests of deploy/kubernetes/ promise each other and the service."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from orchestrator_api.environment.documents import CLAIMS
from tests.deploy.conftest import (
    COMPONENTS,
    KUBERNETES,
    PRIVILEGED_NAMESPACE,
    SERVICE_NAMESPACE,
    WORKFLOW_NAMESPACE,
    Json,
    applied_objects,
    component_objects,
    component_settings,
    kustomization,
    objects_of,
    pod_templates,
)
from tests.deploy.network import selects
from tests.orchestrator_api.test_configuration import variables_read

TEMPLATES = pod_templates()
PERMANENT = ("orchestrator-api", "orchestrator-workflow-api", "orchestrator-controller")


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
    assert {path.parent.name for path in KUBERNETES.glob("*/kustomization.yaml")} == set(COMPONENTS)
    for name in COMPONENTS:
        assert {path.name for path in (KUBERNETES / name).iterdir()} == {
            *kustomization(name)["resources"],
            "kustomization.yaml",
        }


def test_nobody_has_opted_into_a_component() -> None:
    assert kustomization()["components"] == []


def test_every_image_is_one_that_the_kustomization_names() -> None:
    (image,) = kustomization()["images"]

    assert {container_of(template)["image"] for template in TEMPLATES.values()} == {image["name"]}


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_each_container_is_bounded_and_writes_only_to_its_volumes(name: str) -> None:
    container = container_of(TEMPLATES[name])

    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}
    assert all("sizeLimit" in volume["emptyDir"] for volume in TEMPLATES[name]["spec"]["volumes"])
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("name", PERMANENT)
def test_what_runs_for_ever_is_watched_and_one_may_always_go(name: str) -> None:
    deployment, budget = named("Deployment", name), named("PodDisruptionBudget", name)

    assert "livenessProbe" in container_of(TEMPLATES[name])
    assert budget["spec"]["minAvailable"] < deployment["spec"]["replicas"]


def selectors() -> Iterator[Json]:
    """Yield every choice of the service's pods by their labels."""
    for service in of_kind("Service"):
        yield {"matchLabels": service["spec"]["selector"]}
    for each in [*of_kind("Deployment"), *of_kind("PodDisruptionBudget")]:
        yield each["spec"]["selector"]
    for policy in of_kind("NetworkPolicy"):
        if policy["metadata"]["namespace"] == SERVICE_NAMESPACE:
            yield policy["spec"]["podSelector"]
        for rule in [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]:
            for peer in [*rule.get("from", []), *rule.get("to", [])]:
                where = peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name")
                if "podSelector" in peer and where in (None, SERVICE_NAMESPACE):
                    yield peer["podSelector"]


def test_every_selector_finds_a_pod() -> None:
    labels = [template["metadata"]["labels"] for template in TEMPLATES.values()]

    for selector in selectors():
        assert any(selects(selector, each) for each in labels), selector
        for expression in selector.get("matchExpressions", []):
            known = {each.get(expression["key"]) for each in labels}
            assert set(expression["values"]) <= known, expression


def specs() -> list[Json]:
    return [template["spec"] for template in TEMPLATES.values()]


def test_only_who_asks_the_cluster_has_a_token_for_it() -> None:
    with_token = {
        name for name, template in TEMPLATES.items() if template["spec"].get("automountServiceAccountToken", True)
    }

    assert with_token == {"orchestrator-api", "orchestrator-controller"}


def test_every_service_account_and_role_that_is_named_exists() -> None:
    accounts = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in of_kind("ServiceAccount")}
    roles = {
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
        for each in [*of_kind("Role"), *of_kind("ClusterRole")]
    }
    used = [spec["serviceAccountName"] for spec in specs() if spec.get("automountServiceAccountToken", True)]
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
    assert not any({"data", "stringData"} & set(each) for each in of_kind("Secret"))

    assert set(secret["stringData"].values()) == {""}


@pytest.mark.parametrize("name", ["orchestrator-api", "orchestrator-workflow-api"])
def test_probes_and_callers_find_an_api_where_it_is(name: str) -> None:
    service = named("Service", name)
    host = f"{name}.{service['metadata']['namespace']}.svc"
    container = container_of(TEMPLATES[name])
    own = {each["name"]: each["value"] for each in container.get("env", [])}
    probes = [probe for key, probe in container.items() if key.endswith("Probe")]

    assert {**settings(), **own}["ALLOWED_HOSTS"].split(",")[0] == host
    assert len(probes) == 3
    assert {header["value"] for probe in probes for header in probe["httpGet"]["httpHeaders"]} == {host}


def test_workflows_call_the_api_that_is_theirs() -> None:
    (port,) = named("Service", "orchestrator-workflow-api")["spec"]["ports"]

    assert settings()["ORCHESTRATOR_API_HOSTNAME"] == f"orchestrator-workflow-api.orchestrator.svc:{port['port']}"


def test_the_api_for_workflows_is_the_other_one_without_its_pages() -> None:
    theirs, ours = (container_of(TEMPLATES[f"orchestrator-{name}"]) for name in ("workflow-api", "api"))

    assert {each["name"]: each["value"] for each in theirs["env"]}["ADMIN_ENABLED"] == "false"
    for key in ("image", "args", "envFrom", "ports", "resources", "securityContext", "volumeMounts"):
        assert theirs[key] == ours[key]


def test_workflows_run_in_the_namespace_that_the_roles_are_for() -> None:
    assert settings()["ARGO_NAMESPACE"] == WORKFLOW_NAMESPACE
    assert {each["metadata"]["namespace"] for each in of_kind("Role")} == {WORKFLOW_NAMESPACE}


def test_the_pods_of_workflows_run_as_the_account_that_the_shipped_manifests_name() -> None:
    manifests = KUBERNETES.parents[1] / "templates" / "manifests"
    text = "".join(path.read_text() for path in manifests.glob("*.yaml"))
    accounts = [each for each in of_kind("ServiceAccount") if each["metadata"]["namespace"] == WORKFLOW_NAMESPACE]

    assert {each["metadata"]["name"] for each in accounts} == {
        *re.findall(r"serviceAccountName: (\S+)", text),
        settings()["ARGO_EXECUTOR_SERVICE_ACCOUNT"],
    }


def test_argo_finds_the_token_of_its_own_containers() -> None:
    account = settings()["ARGO_EXECUTOR_SERVICE_ACCOUNT"]
    token = named("Secret", f"{account}.service-account-token")

    assert token["type"] == "kubernetes.io/service-account-token"
    assert token["metadata"]["annotations"] == {"kubernetes.io/service-account.name": account}
    assert token["metadata"]["namespace"] == WORKFLOW_NAMESPACE


# What an operator opts into


def test_the_second_namespace_gives_no_right_that_the_first_does_not() -> None:
    def of(objects: list[Json], namespace: str) -> dict[tuple[str, str], str]:
        kinds = ("Role", "RoleBinding", "ServiceAccount", "Secret", "NetworkPolicy", "LimitRange")
        return {
            (each["kind"], each["metadata"]["name"]): json.dumps(each).replace(namespace, "NAMESPACE")
            for each in objects
            if each["kind"] in kinds and each["metadata"].get("namespace") == namespace
        }

    first, second = of(applied_objects(), WORKFLOW_NAMESPACE), of(component_objects("privileged"), PRIVILEGED_NAMESPACE)

    assert first == second
    assert component_settings("privileged") == {"ARGO_PRIVILEGED_NAMESPACE": PRIVILEGED_NAMESPACE}


def test_all_that_runs_workflows_is_bounded() -> None:
    for namespace in (WORKFLOW_NAMESPACE, PRIVILEGED_NAMESPACE):
        found = {
            each["kind"]: each["spec"]
            for each in [*applied_objects(), *component_objects("privileged")]
            if each["metadata"].get("namespace") == namespace and each["kind"] in ("ResourceQuota", "LimitRange")
        }
        (limits,) = found["LimitRange"]["limits"]

        assert {"pods", "requests.cpu", "requests.memory", "limits.memory"} <= set(found["ResourceQuota"]["hard"])
        assert set(limits["max"]) == set(limits["default"]) == {"cpu", "memory", "ephemeral-storage"}


def test_the_example_of_a_partner_is_one_that_the_service_takes() -> None:
    claims = CLAIMS.read(component_settings("partners")["DATA_PARTNER_CLAIMS"])
    objects = {each["kind"]: each for each in component_objects("partners")}
    volume, claim = objects["PersistentVolume"]["spec"], objects["PersistentVolumeClaim"]

    ((partner, paths),) = claims.items()
    assert paths == {volume["local"]["path"]: claim["metadata"]["name"]}
    assert partner in settings()["VALID_DATA_PARTNERS"].split(",")
    assert volume["accessModes"] == claim["spec"]["accessModes"] == ["ReadOnlyMany"]
    # Nobody else's claim takes the folder.
    assert volume["claimRef"] == {key: claim["metadata"][key] for key in ("namespace", "name")}


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_setting_of_a_component_is_one_that_the_service_reads(name: str) -> None:
    assert set(component_settings(name)) <= variables_read()
