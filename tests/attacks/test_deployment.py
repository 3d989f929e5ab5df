"""Somebody runs what he likes in a Workflow's pod on a cluster, and tries to get further.

Who reaches whom is read from the network policies; nothing here enforces them. Pods are let in or refused by a real API
server.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests
import yaml

from engines.argo import ArgoEngine
from engines.argo.confinement import labelled
from engines.argo.options import Options
from engines.argo.workflows import to_send
from engines.base import FEDERATED_ANNOTATION, ManifestRejected, Submission, WorkflowPhase
from executions.rendering import render
from templates.shipped import shipped_schemas
from tests.deploy.conftest import (
    COMPONENTS,
    PRIVILEGED_NAMESPACE,
    SERVICE_NAMESPACE,
    WORKFLOW_NAMESPACE,
    applied_objects,
    component_objects,
    installed,  # noqa: F401 - a fixture
    pod_templates,
)
from tests.deploy.network import Network, Pod
from tests.executions.flows import FLOWS, PLATFORM
from tests.services.api import ApiError
from tests.services.kubernetes import ApiServer
from usage_scripts.local_service import LocalService, local_service

Json = dict[str, Any]

# Who is not ours, by the labels of their namespaces.
NEIGHBOURS = {"ingress": {"orchestrator/may-call-api": "true"}, "kube-system": {}, "hospital-it": {}}
HTTP = {"http": 8900}
DNS = Pod("kube-system", {"k8s-app": "kube-dns"})
DATABASE, STORE, API_SERVER, BROKER, PARTNERS_STORE = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.11")


def of_service(name: str) -> Pod:
    return Pod(SERVICE_NAMESPACE, pod_templates()[name]["metadata"]["labels"], ports=HTTP)


def of_workflow(
    selector: Json | None = None, *, federated: bool = False, namespace: str = WORKFLOW_NAMESPACE, **spec: Any
) -> Pod:
    """Return a pod as the engine has Argo make it, from a manifest that claims to be more than it is."""
    labels = {"orchestrator/data-partner": "data-partner-1", "orchestrator/federated": "true"}
    forged = {"labels": {**labels, "{{workflow.parameters.key}}": "data-partner-1"}, "Labels": labels}
    hostile = {"metadata": forged, "Metadata": forged, "podMetadata": forged, "PodMetadata": forged}
    template = {"name": "main", "container": {"image": "x"}, "nodeSelector": selector or {}, **hostile}
    annotations = {FEDERATED_ANNOTATION: "1"} if federated else {}
    manifest = {"metadata": {"annotations": annotations}, "spec": {"templates": [template], **hostile, **spec}}
    made = labelled(manifest)
    return Pod(namespace, {**made["podMetadata"]["labels"], **made["templates"][0]["metadata"]["labels"]})


API, WORKFLOW_API = of_service("orchestrator-api"), of_service("orchestrator-workflow-api")
CONTROLLER, PREPARE = of_service("orchestrator-controller"), of_service("orchestrator-prepare")
POD, OF_PARTNER_1 = of_workflow(), of_workflow({"dataPartner": "data-partner-1"})
OF_PARTNER_2, TOGETHER = of_workflow({"dataPartner": "data-partner-2"}), of_workflow(federated=True)
PRIVILEGED = of_workflow(namespace=PRIVILEGED_NAMESPACE)
# Its Workflow names a partner's node, and it goes to another.
ELSEWHERE = of_workflow({"nodeType": "central"}, nodeSelector={"dataPartner": "data-partner-1"})
INGRESS, STRANGER = Pod("ingress", {}), Pod("hospital-it", {"app.kubernetes.io/name": "orchestrator"})


@pytest.fixture(scope="module")
def network() -> Network:
    return Network([*applied_objects(), *component_objects(*COMPONENTS)], NEIGHBOURS)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        (POD, WORKFLOW_API, 8900),
        (PRIVILEGED, WORKFLOW_API, 8900),
        (POD, API_SERVER, 443),
        (OF_PARTNER_1, PARTNERS_STORE, 443),
        (TOGETHER, BROKER, 9093),
        (INGRESS, API, 8900),
        (API, WORKFLOW_API, 8900),
        (CONTROLLER, WORKFLOW_API, 8900),
        *((each, DATABASE, 5432) for each in (API, WORKFLOW_API, CONTROLLER, PREPARE)),
        *((each, STORE, 443) for each in (API, WORKFLOW_API, CONTROLLER)),
        (API, API_SERVER, 6443),
        (CONTROLLER, API_SERVER, 6443),
        (CONTROLLER, BROKER, 9093),
    ],
)
def test_what_is_needed_can_be_reached(network: Network, source: Pod, target: Pod | str, port: int) -> None:
    assert network.reaches(source, target, port)
    assert network.reaches(source, DNS, 53, "UDP") or source is INGRESS


@pytest.mark.parametrize("source", [POD, OF_PARTNER_2, ELSEWHERE, TOGETHER, PRIVILEGED])
@pytest.mark.parametrize(
    ("target", "port"),
    [
        # The admin, and every other pod of ours.
        (API, 8900),
        (CONTROLLER, 8900),
        (WORKFLOW_API, 22),
        (WORKFLOW_API, 5432),
        # What the service itself may reach.
        (DATABASE, 5432),
        (STORE, 443),
        # The cloud's metadata, the hospital's networks, the world.
        ("169.254.169.254", 80),
        ("10.1.2.3", 443),
        ("172.16.0.1", 6443),
        ("192.168.1.1", 443),
        ("203.0.113.7", 443),
        ("203.0.113.7", 53),
        # Other partners' stores, other Workflows' pods, the cluster's own.
        (PARTNERS_STORE, 443),
        (Pod(WORKFLOW_NAMESPACE, {}), 8001),
        (Pod("kube-system", {"app": "etcd"}), 2379),
        (Pod("kube-system", {"app": "etcd"}), 53),
    ],
)
def test_pods_reach_nothing_else(network: Network, source: Pod, target: Pod | str, port: int) -> None:
    assert not network.reaches(source, target, port)


@pytest.mark.parametrize("source", [POD, OF_PARTNER_1, PRIVILEGED])
def test_brokers_are_for_those_who_train_together(network: Network, source: Pod) -> None:
    assert not network.reaches(source, BROKER, 9093)


@pytest.mark.parametrize("target", [POD, OF_PARTNER_1, PRIVILEGED, CONTROLLER, PREPARE])
@pytest.mark.parametrize("source", [INGRESS, STRANGER, POD, API, "203.0.113.7"])
def test_nobody_calls_pods_that_serve_nobody(network: Network, source: Pod | str, target: Pod) -> None:
    assert not any(network.reaches(source, target, port) for port in (80, 443, 8000, 8001, 8900))


@pytest.mark.parametrize(
    ("source", "target"), [(STRANGER, API), (STRANGER, WORKFLOW_API), (INGRESS, WORKFLOW_API), ("203.0.113.7", API)]
)
def test_strangers_reach_no_api(network: Network, source: Pod | str, target: Pod) -> None:
    assert not network.reaches(source, target, 8900)


@pytest.mark.parametrize("source", [API, WORKFLOW_API, CONTROLLER, PREPARE])
@pytest.mark.parametrize(
    ("target", "port"),
    [("169.254.169.254", 80), ("10.1.2.3", 443), ("203.0.113.7", 443), (DATABASE, 22), (POD, 8001), (API, 8900)],
)
def test_service_that_was_taken_reaches_little(network: Network, source: Pod, target: Pod | str, port: int) -> None:
    assert not network.reaches(source, target, port)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [(WORKFLOW_API, API_SERVER, 6443), (API, BROKER, 9093), (WORKFLOW_API, BROKER, 9093), (PREPARE, STORE, 443),
     (PREPARE, API_SERVER, 6443), (PREPARE, WORKFLOW_API, 8900)],
)  # fmt: skip
def test_each_process_reaches_its_own_needs(network: Network, source: Pod, target: Pod | str, port: int) -> None:
    assert not network.reaches(source, target, port)


# What Workflows call is not what people call.


@pytest.fixture(scope="module")
def api_for_workflows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    (container,) = pod_templates()["orchestrator-workflow-api"]["spec"]["containers"]
    given = {each["name"]: each["value"] for each in container["env"] if each["name"] == "ADMIN_ENABLED"}
    with local_service(tmp_path_factory.mktemp("workflow-api"), **given) as running:
        yield running


@pytest.mark.live
@pytest.mark.parametrize(
    "path",
    ["/", "/admin/", "/admin/login/", "/admin", "/admin/jsi18n/", "/api/docs/", "/api/schema/",
     "/static/admin/css/base.css", "/api/../admin/", "//admin/", "/%61dmin/", "/api/%2e%2e/admin/"],
)  # fmt: skip
def test_no_page_is_served_to_workflows(api_for_workflows: LocalService, path: str) -> None:
    request = requests.Request("GET", api_for_workflows.url).prepare()
    request.url = api_for_workflows.url + path
    with api_for_workflows.session() as session:
        answer = session.send(request, allow_redirects=False, timeout=30)

    assert answer.status_code == 404, answer.text[:200]


@pytest.mark.live
def test_workflows_are_still_answered(api_for_workflows: LocalService) -> None:
    with api_for_workflows.session() as session:
        assert session.get(f"{api_for_workflows.url}/api/executions/", timeout=30).status_code == 200
        assert session.get(f"{api_for_workflows.url}/api/runs/", timeout=30).status_code == 200
    assert requests.get(f"{api_for_workflows.url}/api/executions/", timeout=30).status_code == 401
    assert requests.get(f"{api_for_workflows.url}/health/ready", timeout=30).status_code == 200


# Pods that want more than restricted ones have.

SAFE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(spec: Json | None = None, *, volumes: list[Json] | None = None, **container: Any) -> Json:
    one = {"name": "main", "image": "busybox", "securityContext": SAFE, **container}
    return {"metadata": {"name": "hostile"}, "spec": {"containers": [one], "volumes": volumes or [], **(spec or {})}}


def with_context(**fields: Any) -> Json:
    return pod(securityContext={**SAFE, **fields})


HOSTILE_PODS = {
    "the node's root": pod(volumes=[{"name": "root", "hostPath": {"path": "/"}}]),
    "a partner's folder by its path": pod(volumes=[{"name": "data", "hostPath": {"path": "/srv/partner-data"}}]),
    "a network file system": pod(volumes=[{"name": "data", "nfs": {"server": "10.1.2.3", "path": "/"}}]),
    "an iSCSI disk": pod(volumes=[{"name": "d", "iscsi": {"targetPortal": "10.1.2.3", "iqn": "iqn.2001-04.x:y",
                                                           "lun": 0}}]),
    "the node's network": pod({"hostNetwork": True}),
    "the node's processes": pod({"hostPID": True}),
    "the node's shared memory": pod({"hostIPC": True}),
    "a port of the node": pod(ports=[{"containerPort": 80, "hostPort": 80}]),
    "all privileges": with_context(privileged=True, allowPrivilegeEscalation=True),
    "root": with_context(runAsUser=0),
    "perhaps root": with_context(runAsNonRoot=False),
    "a capability": with_context(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
    "every system call": with_context(seccompProfile={"type": "Unconfined"}),
    "the whole of /proc": pod({"hostUsers": False}, securityContext={**SAFE, "procMount": "Unmasked"}),
    "a kernel setting": pod({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}),
    "no word of it": pod(securityContext={}),
}  # fmt: skip


@pytest.mark.kubernetes
@pytest.mark.parametrize("what", HOSTILE_PODS)
def test_pod_that_wants_more_is_refused(installed: ApiServer, what: str) -> None:  # noqa: F811
    with pytest.raises(ApiError) as refusal:
        installed.api.post(f"/api/v1/namespaces/{WORKFLOW_NAMESPACE}/pods?dryRun=All", HOSTILE_PODS[what])

    assert (refusal.value.status, "restricted" in str(refusal.value)) == (403, True)


@pytest.mark.kubernetes
def test_pod_that_wants_nothing_is_let_in(installed: ApiServer) -> None:  # noqa: F811
    made = installed.api.post(f"/api/v1/namespaces/{WORKFLOW_NAMESPACE}/pods?dryRun=All", pod())

    (container,) = made["spec"]["containers"]
    assert container["resources"]["limits"] == {"cpu": "4", "memory": "2Gi", "ephemeral-storage": "20Gi"}


@pytest.mark.kubernetes
@pytest.mark.parametrize("what", ["cpu", "memory", "ephemeral-storage"])
def test_pod_that_wants_whole_node_is_refused(installed: ApiServer, what: str) -> None:  # noqa: F811
    hostile = pod(resources={"limits": {what: "4Ti" if what != "cpu" else "1000"}})

    with pytest.raises(ApiError, match=f"maximum {what} usage") as refusal:
        installed.api.post(f"/api/v1/namespaces/{WORKFLOW_NAMESPACE}/pods?dryRun=All", hostile)

    assert refusal.value.status == 403


@pytest.mark.kubernetes
def test_thousand_pods_do_not_fit(installed: ApiServer) -> None:  # noqa: F811
    path = f"/api/v1/namespaces/{WORKFLOW_NAMESPACE}/resourcequotas/workflows"
    hard = installed.api.get(path)["spec"]["hard"]
    # What a cluster's controller manager keeps up to date: here all pods are taken.
    used = {**dict.fromkeys(hard, "0"), "pods": hard["pods"]}
    installed.api.call(
        "PATCH", f"{path}/status", {"status": {"hard": hard, "used": used}}, "application/merge-patch+json"
    )
    try:
        with pytest.raises(ApiError, match="exceeded quota: workflows") as refusal:
            installed.api.post(f"/api/v1/namespaces/{WORKFLOW_NAMESPACE}/pods", pod())
        assert refusal.value.status == 403
        with pytest.raises(ApiError, match="exceeded quota: workflows"):
            service = {"metadata": {"name": "hostile"}, "spec": {"ports": [{"port": 80}]}}
            installed.api.post(f"/api/v1/namespaces/{WORKFLOW_NAMESPACE}/services", service)
    finally:
        empty = {"status": {"hard": None, "used": None}}
        installed.api.call("PATCH", f"{path}/status", empty, "application/merge-patch+json")


# Manifests that want it.

HOSTILE_FIELDS: dict[str, Json] = {
    "hostPath": {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]},
    "hostNetwork": {"hostNetwork": True},
    "runAsUser": {"securityContext": {"runAsUser": 0}},
}


def hostile_workflow(field: str) -> Submission:
    name = f"hostile-{secrets.token_hex(4)}"
    templates = [{"name": "main", "container": {"image": "busybox"}}]
    spec = {"entrypoint": "main", "templates": templates, **HOSTILE_FIELDS[field]}
    manifest = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": name}, "spec": spec}
    return Submission(name, manifest)


@pytest.fixture
def engines(installed: ApiServer) -> tuple[ArgoEngine, ArgoEngine]:  # noqa: F811
    usual = {"kubeconfig": str(installed.kubeconfig), "requests_per_second": 1000.0}
    beside = {"namespace": WORKFLOW_NAMESPACE, "privileged_engine": "argo-privileged", "root_images": ["old-engine:*"]}
    return (
        ArgoEngine("argo", {**usual, **beside}),
        ArgoEngine("argo-privileged", {**usual, "namespace": PRIVILEGED_NAMESPACE, "restricted": False}),
    )


@pytest.mark.kubernetes
@pytest.mark.parametrize("field", HOSTILE_FIELDS)
def test_manifest_that_wants_more_is_refused(engines: tuple[ArgoEngine, ArgoEngine], field: str) -> None:
    one = hostile_workflow(field)

    with pytest.raises(ManifestRejected, match="ARGO_PRIVILEGED_NAMESPACE") as refusal:
        engines[0].submit(one)

    assert field in refusal.value.pointer
    assert one.name not in {status.name for status in engines[0].list()}


@pytest.mark.kubernetes
@pytest.mark.parametrize("field", HOSTILE_FIELDS)
def test_opted_in_it_runs_elsewhere(
    engines: tuple[ArgoEngine, ArgoEngine],
    field: str,
) -> None:
    one, (restricted, privileged) = hostile_workflow(field), engines

    assert restricted.placed(one.manifest) == privileged.alias
    status = privileged.submit(one)

    assert status.phase is WorkflowPhase.PENDING
    assert one.name not in {each.name for each in restricted.list()}
    privileged.delete(one.name)


def test_harmless_manifest_does_not_go_there() -> None:
    harmless = hostile_workflow("hostPath").manifest
    del harmless["spec"]["volumes"]
    options = {"privileged_engine": "argo-privileged"}

    assert ArgoEngine("argo", options).placed(harmless) == "argo"


# What is shipped keeps within all that.

CLAIMS = {f"data-partner-{number}": {"/srv/data": f"data-partner-{number}-data"} for number in (1, 2)}
SHIPPED = {schema.name: yaml.safe_load(schema.manifest_yaml) for schema in shipped_schemas()}


def shipped_workflow(flow: str) -> Json:
    partners = tuple(replace(each, system_path="/srv/data") for each in FLOWS[flow].partners)
    rendering = render(
        manifest=SHIPPED[flow], execution=replace(FLOWS[flow], partners=partners), platform=PLATFORM,
        name="execution-1-1-abcdef", callback_images=["processor-resource-manager"], claims=CLAIMS,
    )  # fmt: skip
    return to_send(Submission(rendering.name, rendering.manifest), Options())


def pods_of(workflow: Json) -> Iterator[Json]:
    """Yield the pods that Argo would make of a Workflow, without those parts that are Argo's own."""
    for template in workflow["spec"]["templates"]:
        containers = (template.get("containerSet") or {}).get("containers") or [template.get("container")]
        if containers != [None]:
            text = json.dumps(
                {
                    "containers": [{"name": "main", **each} for each in containers],
                    "initContainers": template.get("initContainers", []),
                    "volumes": template.get("volumes", []),
                }
            )
            labels = {
                **(workflow["spec"].get("podMetadata") or {}).get("labels", {}),
                **template.get("metadata", {}).get("labels", {}),
            }
            filled = re.sub(r"\{\{[^}]*\}\}", "filled-in", json.dumps({"spec": json.loads(text), "labels": labels}))
            found = json.loads(filled)
            yield {"metadata": {"name": template["name"], "labels": found["labels"]}, "spec": found["spec"]}


@pytest.mark.kubernetes
@pytest.mark.parametrize("flow", SHIPPED)
def test_shipped_manifests_need_no_more(installed: ApiServer, flow: str) -> None:  # noqa: F811
    made = [
        installed.api.post(f"/api/v1/namespaces/{WORKFLOW_NAMESPACE}/pods?dryRun=All&fieldValidation=Strict", each)
        for each in pods_of(shipped_workflow(flow))
    ]

    assert made
    assert not any("hostPath" in volume for each in made for volume in each["spec"].get("volumes", []))
