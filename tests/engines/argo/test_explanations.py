"""Words of scheduler, kubelets and nodes, as they arrive at a reader."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engines.argo.engine import ArgoEngine
from engines.argo.explanations import causes_of, is_unheeded, last_words, pod_name_of, sentences
from engines.argo.options import PREPARING
from engines.argo.workflows import INSTANCE_LABEL
from engines.base import Submission
from tests.engines.argo.behaviours import recording
from tests.engines.argo.kubelet import Kubelet, container_status
from tests.engines.contract import manifest
from tests.services.api import Api
from tests.services.kubernetes import WORKFLOWS, ApiServer

UNSCHEDULABLE = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
OUT_OF_MEMORY = {"reason": "OOMKilled", "exitCode": 137}
NO_IMAGE = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "none"'}


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "wf"}, "spec": {}, "status": status}


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": UNSCHEDULABLE}]},
            UNSCHEDULABLE,
        ),
        (
            {"containerStatuses": [container_status("main", {"waiting": NO_IMAGE})]},
            'main: ImagePullBackOff: Back-off pulling image "none"',
        ),
        (
            {"containerStatuses": [container_status("main", {"waiting": {"reason": "CreateContainerConfigError"}})]},
            "main: CreateContainerConfigError",
        ),
        (
            {"initContainerStatuses": [container_status("prep", {"terminated": OUT_OF_MEMORY})]},
            "prep: OOMKilled (exit code 137)",
        ),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
            "Evicted: The node was low on resource: memory.",
        ),
        (
            {"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough resource: cpu"},
            "OutOfcpu: Node didn't have enough resource: cpu",
        ),
        ({"phase": "Failed", "reason": "NodeLost"}, "NodeLost"),
        (
            {"conditions": [{"type": "DisruptionTarget", "status": "True", "message": "Taint manager: deleting"}]},
            "Taint manager: deleting",
        ),
    ],
)  # fmt: skip
def test_a_pod_says_why(status: dict[str, Any], cause: str) -> None:
    assert list(causes_of(pod(**status))) == [cause]


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]},
        {"containerStatuses": [container_status("main", {"waiting": {"reason": "ContainerCreating"}})]},
        {"containerStatuses": [container_status("main", {"terminated": {"reason": "Completed", "exitCode": 0}})]},
        {"containerStatuses": [container_status("main", {"terminated": {"reason": "Error", "exitCode": 1}})]},
    ],
)
def test_a_pod_that_goes_on_or_failed_by_itself_has_no_cause(status: dict[str, Any]) -> None:
    assert list(causes_of(pod(**status))) == []


def test_each_cause_is_told_once_and_none_that_is_known() -> None:
    causes = [("a", "no room."), ("b", "no  room"), ("c", "no room"), ("a", "no image"), ("a", "Step failed")]

    assert sentences(causes, "main: Step failed (exit code 1)") == "a and 2 more: no room. a: no image."


def test_the_last_event_of_each_reason_counts() -> None:
    events = [
        {"reason": "FailedMount", "message": "old", "lastTimestamp": "2026-11-21T12:00:00Z"},
        {"reason": "FailedMount", "message": "new", "lastTimestamp": "2026-11-21T12:00:09Z"},
        {"reason": "FailedScheduling", "message": "none", "eventTime": "2026-11-21T12:00:01.000000Z"},
        {"reason": "Failed", "message": "Error: ImagePullBackOff", "lastTimestamp": "2026-11-21T12:00:08Z"},
        {"reason": "BackOff", "message": "again", "lastTimestamp": "2026-11-21T12:00:08Z"},
    ]

    assert last_words(events) == [("FailedScheduling", "none"), ("FailedMount", "new")]


# What a kubelet without a DNS of the cluster says of each pod that it starts, as a cluster of Kubernetes 1.34 has it.
NO_DNS = (
    'pod: "wf_argo(c2e1b3f0-7c55-4d3e-9c6e-0e4a1f0f6a11)". kubelet does not have ClusterDNS IP configured and cannot'
    ' create Pod using "ClusterFirst" policy. Falling back to "Default" policy.'
)


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("MissingClusterDNS", NO_DNS),
        ("DNSConfigForming", "Nameserver limits were exceeded, some nameservers have been omitted"),
        ("FailedToRetrieveImagePullSecret", "Unable to retrieve some image pull secrets (mine)"),
        ("FailedKillPod", "error killing pod"),
        ("VolumeConditionAbnormal", "Volume data: slow"),
        ("Unhealthy", "Readiness probe failed"),
        ("SomethingNew", "a warning that nobody knows yet"),
    ],
)
def test_a_warning_that_holds_nothing_up_is_no_cause(reason: str, message: str) -> None:
    assert last_words([{"reason": reason, "message": message, "lastTimestamp": "2026-11-21T12:00:00Z"}]) == []


@pytest.mark.parametrize(
    "reason", ["FailedCreatePodSandBox", "OutOfcpu", "OutOfnvidia.com/gpu", "Evicted", "NodeNotReady"]
)
def test_what_keeps_or_puts_a_pod_out_is_a_cause(reason: str) -> None:
    event = {"reason": reason, "message": "why", "lastTimestamp": "2026-11-21T12:00:00Z"}

    assert last_words([event]) == [(reason, "why")]


@pytest.mark.parametrize(
    ("name", "node", "pod_name"),
    [
        ("sidecar-and-init", "sidecar-and-init", "sidecar-and-init"),
        ("steps-succeed", "steps-succeed-3907310798", "steps-succeed-say-3907310798"),
    ],
)
def test_a_nodes_pod_has_the_name_that_argo_gives_it(name: str, node: str, pod_name: str) -> None:
    nodes = recording(name)[-1]["object"]["status"]["nodes"]

    assert pod_name_of(name, nodes[node]) == pod_name


def test_what_no_controller_takes_up_is_noticed_after_a_while() -> None:
    created = datetime(2026, 11, 21, 12, tzinfo=UTC)
    workflow: dict[str, Any] = {"metadata": {"creationTimestamp": "2026-11-21T12:00:00Z"}, "spec": {}}

    assert not is_unheeded(workflow, created + timedelta(seconds=5))
    assert is_unheeded(workflow, created + timedelta(seconds=60))
    assert not is_unheeded({**workflow, "status": {"phase": "Running"}}, created + timedelta(seconds=60))
    labelled = {**workflow["metadata"], "labels": {INSTANCE_LABEL: PREPARING}}
    assert not is_unheeded({**workflow, "metadata": labelled}, created + timedelta(seconds=60))
    assert not is_unheeded({}, created)


class Place:
    """The Workflow `wf`, with a pod, as controller, scheduler and kubelet write it."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.core = f"/api/v1/namespaces/{namespace}"
        self.workflow = f"{WORKFLOWS.format(namespace=namespace)}/wf"
        self.namespace = namespace

    def add_pod(self, node: str = "") -> None:
        spec = {"containers": [{"name": "main", "image": "none"}], **({"nodeName": node} if node else {})}
        metadata = {"name": "wf", "labels": {"workflows.argoproj.io/workflow": "wf"}}
        self.api.post(f"{self.core}/pods", {"metadata": metadata, "spec": spec})

    def tell(self, **status: Any) -> None:
        self.api.patch(f"{self.core}/pods/wf/status", {"status": status})

    def tell_workflow(self, **status: Any) -> None:
        self.api.patch(self.workflow, {"status": status})

    def add_event(self, reason: str, message: str, kind: str = "Warning") -> None:
        named = {"kind": "Pod", "namespace": self.namespace, "name": "wf"}
        event = {
            "metadata": {"generateName": "wf-"},
            "involvedObject": named,
            "reason": reason,
            "message": message,
            "type": kind,
            "lastTimestamp": "2026-11-21T12:00:00Z",
        }
        self.api.post(f"{self.core}/events", event)


@pytest.fixture
def place(argo: ArgoEngine, api_server: ApiServer, namespace: str) -> Iterator[Place]:
    argo.submit(Submission("wf", manifest("wf", "true")))
    yield Place(api_server.api, namespace)


@pytest.mark.kubernetes
def test_a_pod_without_a_place_is_explained_until_argo_says_it_too(argo: ArgoEngine, place: Place) -> None:
    place.add_pod()
    place.tell(conditions=[{"type": "PodScheduled", "status": "False", "message": UNSCHEDULABLE}])

    assert argo.explain("wf") == f"wf: {UNSCHEDULABLE}"

    node = {"id": "wf", "name": "wf", "type": "Pod", "phase": "Pending", "message": f"Unschedulable: {UNSCHEDULABLE}"}
    place.tell_workflow(phase="Running", nodes={"wf": node})
    assert argo.explain("wf") == ""


@pytest.mark.kubernetes
def test_a_pod_that_cannot_start_is_explained_by_its_events(
    argo: ArgoEngine, place: Place, api_server: ApiServer
) -> None:
    with Kubelet(api_server) as kubelet:
        place.add_pod(kubelet.name)
        place.add_event("FailedMount", 'secret "token" not found')
        place.add_event("FailedScheduling", UNSCHEDULABLE)
        place.add_event("Scheduled", "Successfully assigned", kind="Normal")

        assert argo.explain("wf") == 'wf: FailedMount: secret "token" not found.'


@pytest.mark.kubernetes
def test_a_pod_that_is_gone_is_explained_by_what_was_said_of_it(argo: ArgoEngine, place: Place) -> None:
    place.add_event("FailedScheduling", UNSCHEDULABLE)
    node = {"id": "wf", "name": "wf", "type": "Pod", "phase": "Failed", "message": "Step exceeded its deadline"}
    place.tell_workflow(phase="Failed", message="Step exceeded its deadline", nodes={"wf": node})

    assert argo.explain("wf") == f"wf: FailedScheduling: {UNSCHEDULABLE}"


@pytest.mark.kubernetes
def test_a_lost_node_is_named(argo: ArgoEngine, place: Place, api_server: ApiServer) -> None:
    with Kubelet(api_server) as kubelet:
        kubelet.run(place.namespace, "wf", "wf")
        assert argo.explain("wf") == ""
        kubelet.tell(place.namespace, "wf", {"conditions": [{"type": "Ready", "status": "False"}]})
        stopped = {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}
        api_server.api.patch(f"/api/v1/nodes/{kubelet.name}/status", {"status": {"conditions": [stopped]}})

        assert (
            argo.explain("wf")
            == f"wf: the cluster node {kubelet.name} is not ready: Kubelet stopped posting node status."
        )

    assert argo.explain("wf") == f"wf: the cluster node {kubelet.name} is gone."


@pytest.mark.kubernetes
def test_workflows_on_lost_nodes_are_named_and_no_others(argo: ArgoEngine, place: Place, api_server: ApiServer) -> None:
    stopped = {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}
    with Kubelet(api_server) as lost, Kubelet(api_server) as cordoned, Kubelet(api_server) as ready:
        for node, workflow in ((lost, "wf"), (cordoned, "on-a-cordoned"), (ready, "on-a-ready")):
            node.run(place.namespace, workflow, workflow)
            node.tell(place.namespace, workflow, {"conditions": [{"type": "Ready", "status": "False"}]})
        lost.run(place.namespace, "ended", "ended")
        lost.tell(place.namespace, "ended", {"phase": "Succeeded"})
        api_server.api.patch(f"/api/v1/nodes/{lost.name}/status", {"status": {"conditions": [stopped]}})
        api_server.api.patch(f"/api/v1/nodes/{cordoned.name}", {"spec": {"unschedulable": True}})

        assert argo.stranded([lost.name, cordoned.name, ready.name]) == {
            "wf": f"wf: the cluster node {lost.name} is not ready: Kubelet stopped posting node status."
        }
        assert argo.stranded([]) == {}


@pytest.mark.kubernetes
def test_a_pod_that_its_node_never_started_is_explained_too(
    argo: ArgoEngine, place: Place, api_server: ApiServer
) -> None:
    stopped = {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}
    with Kubelet(api_server) as kubelet:
        place.add_pod(kubelet.name)
        assert argo.explain("wf") == ""
        api_server.api.patch(f"/api/v1/nodes/{kubelet.name}/status", {"status": {"conditions": [stopped]}})

        why = f"the cluster node {kubelet.name} is not ready: Kubelet stopped posting node status."
        assert argo.explain("wf") == f"wf: {why}"


@pytest.mark.kubernetes
def test_a_workflow_that_has_just_come_needs_no_explanation(argo: ArgoEngine, place: Place) -> None:
    assert argo.explain("wf") == ""
