"""Why a Workflow waits or failed: what scheduler, kubelet and nodes report of its pods.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ describes conditions, reasons and states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain

from engines.argo.client import Client, Json, Refused
from engines.argo.cluster import NODES, why_not_ready
from engines.argo.paging import drained, pages
from engines.argo.workflows import collection_path, is_preparing, nodes_of

WORKFLOW_LABEL = "workflows.argoproj.io/workflow"
# More pods than these few are not looked up one by one.
_PODS_WITH_EVENTS = 3
_NODES = 3
_PAGE = 200
_UNHEEDED_SECONDS = 30.0
_STARTING = ("PodInitializing", "ContainerCreating", "")
_PLAIN_ENDS = ("Completed", "Error", "")
# The reasons of events for which a pod does not start, or has ended: those of the scheduler, of controllers of nodes
# and volumes, of a kubelet that prepares a pod (pkg/kubelet/events/event.go), and of a kubelet that refuses or evicts a
# pod (pkg/kubelet/lifecycle, pkg/kubelet/eviction). No other warning holds a pod up.
_CAUSES = frozenset(
    {
        "FailedScheduling", "NodeNotReady", "FailedAttachVolume",
        "FailedMount", "FailedMapVolume", "FailedMountOnFilesystemMismatch", "FailedPrepareDynamicResources",
        "FailedCreatePodSandBox", "FailedCreatePodContainer", "NetworkNotReady", "FailedPostStartHook",
        "Failed", "InspectFailed", "ErrImageNeverPull", "FailedValidation",
        "NodeAffinity", "NodeName", "NodePorts", "TaintToleration", "AppArmor", "PodLevelResourcesNotSupported",
        "PodOSSelectorNodeLabelDoesNotMatch", "PodOSNotSupported", "InvalidNodeInfo",
        "InitContainerRestartPolicyForbidden", "SupplementalGroupsPolicyNotSupported", "UnexpectedAdmissionError",
        "UnexpectedPredicateFailureType", "Evicted", "Preempting", "Preempted",
    }
)  # fmt: skip
# "OutOfcpu", "OutOfmemory" and so on, a reason for each resource.
_OUT_OF = "OutOf"
_ENDED_BADLY = ("Failed", "Error")


class Explanations:
    """Explains the Workflows of one namespace."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._core = f"/api/v1/namespaces/{namespace}"
        self._workflows = collection_path(namespace)

    def of(self, name: str, now: datetime | None = None) -> str:
        """Return a sentence for each cause, or nothing. Raises `EngineUnavailable`."""
        selector = {"labelSelector": f"{WORKFLOW_LABEL}={name}"}
        pods = [pod for items, _ in pages(self._client, f"{self._core}/pods", _PAGE, **selector) for pod in items]
        workflow = self._client.find(f"{self._workflows}/{name}") or {}
        causes: list[tuple[str, str]] = [(_pod_name(pod), cause) for pod in pods for cause in causes_of(pod)]
        starting = [pod for pod in pods if _is_starting(pod)]
        causes += chain.from_iterable(map(self._events_of_starting, starting[:_PODS_WITH_EVENTS]))
        causes += self._events_of_missing(name, workflow, {_pod_name(pod) for pod in pods})
        causes += self._lost_nodes(pods)
        if not causes and not pods and is_unheeded(workflow, now or datetime.now(UTC)):
            return "No Argo controller has processed the Workflow yet."
        return sentences(causes, _known_words(workflow))

    def _events_of_starting(self, pod: Json) -> Iterator[tuple[str, str]]:
        for reason, message in self._events(_pod_name(pod)):
            # The containers' own states are newer and more exact.
            if reason not in ("Failed", "FailedScheduling"):
                yield _pod_name(pod), f"{reason}: {message}"

    def _events_of_missing(self, name: str, workflow: Json, present: set[str]) -> Iterator[tuple[str, str]]:
        """Yield the events of pods that are gone and whose steps failed."""
        failed = [
            node
            for node in nodes_of(workflow.get("status") or {}).values()
            if node.get("type") == "Pod" and node.get("phase") in _ENDED_BADLY
        ]
        missing = [pod for pod in (pod_name_of(name, node) for node in failed) if pod not in present]
        for pod in missing[:_PODS_WITH_EVENTS]:
            for reason, message in self._events(pod):
                yield pod, f"{reason}: {message}"

    def _events(self, pod: str) -> list[tuple[str, str]]:
        selector = f"involvedObject.kind=Pod,involvedObject.name={pod},type=Warning"
        found = self._client.get(f"{self._core}/events", fieldSelector=selector, limit=_PAGE)
        return last_words(found.get("items") or [])

    def _lost_nodes(self, pods: Iterable[Json]) -> Iterator[tuple[str, str]]:
        suspects = [pod for pod in pods if _has_stalled(pod)]
        names = dict.fromkeys(str(pod["spec"]["nodeName"]) for pod in suspects)
        for name in list(names)[:_NODES]:
            message = self._why_lost(name)
            if message:
                yield from ((_pod_name(pod), message) for pod in suspects if pod["spec"]["nodeName"] == name)

    def of_stranded(self, nodes: Iterable[str]) -> dict[str, str]:
        """Return a sentence for each Workflow with pods on a lost node among `nodes`, by the name of the Workflow."""
        found: dict[str, list[tuple[str, str]]] = {}
        for node in nodes:
            message = self._why_lost(node)
            if not message:
                continue
            query = {"labelSelector": WORKFLOW_LABEL, "fieldSelector": f"spec.nodeName={node}"}
            for items, _ in pages(self._client, f"{self._core}/pods", _PAGE, **query):
                for pod in drained(items):
                    if _has_stalled(pod):
                        workflow = pod["metadata"]["labels"][WORKFLOW_LABEL]
                        found.setdefault(workflow, []).append((_pod_name(pod), message))
        return {workflow: sentences(causes) for workflow, causes in found.items()}

    def _why_lost(self, name: str) -> str:
        try:
            node = self._client.find(f"{NODES}/{name}")
        except Refused as refused:
            # Without the permission to read nodes, only the pod's own conditions are used.
            if refused.status == 403:
                return ""
            raise
        if node is None:
            return f"the cluster node {name} is gone"
        node.get("spec", {}).pop("unschedulable", None)
        reason = why_not_ready(node)
        return f"the cluster node {name} is not ready: {reason}" if reason else ""


def causes_of(pod: Json) -> Iterator[str]:
    """Yield the causes in a pod's own status why it does not run or has failed."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or []:
        kind, is_true = condition.get("type"), condition.get("status") == "True"
        words = condition.get("message") or condition.get("reason")
        if words and ((kind == "PodScheduled" and not is_true) or (kind == "DisruptionTarget" and is_true)):
            yield str(words)
    if status.get("reason"):
        yield _with_reason(status)
    for container in chain(status.get("initContainerStatuses") or (), status.get("containerStatuses") or ()):
        for cause in _causes_of_container(container):
            yield f"{container.get('name')}: {cause}"


def _causes_of_container(container: Json) -> Iterator[str]:
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
    if waiting.get("reason", "") not in _STARTING:
        yield _with_reason(waiting)
    if ended.get("reason", "") not in _PLAIN_ENDS:
        yield f"{ended['reason']} (exit code {ended.get('exitCode')})"


def _with_reason(said: Json) -> str:
    return f"{said['reason']}: {said['message']}" if said.get("message") else str(said["reason"])


def last_words(events: Iterable[Json]) -> list[tuple[str, str]]:
    """Return the last message of each reason, oldest reason first."""
    found: dict[str, str] = {}
    for event in sorted(events, key=happened_at):
        reason, message = str(event.get("reason") or ""), str(event.get("message") or "")
        # "Error: ImagePullBackOff" and the like come after the event with the cause.
        if _is_cause(reason) and message and not message.startswith("Error: "):
            found.pop(reason, None)
            found[reason] = message
    return list(found.items())


def _is_cause(reason: str) -> bool:
    return reason in _CAUSES or reason.startswith(_OUT_OF)


def happened_at(event: Json) -> str:
    """Return when an event was seen last (RFC 3339), '' where it is not known."""
    series = event.get("series") or {}
    moments = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return str(next((moment for moment in moments if moment), ""))


def sentences(causes: Iterable[tuple[str, str]], known: str = "") -> str:
    """Return each cause once, with the first pod that has it, unless it is known already."""
    pods: dict[str, list[str]] = {}
    for pod, cause in causes:
        short = " ".join(cause.split()).rstrip(".")
        if short not in known and not any(short in other for other in pods):
            pods.setdefault(short, []).append(pod)
        elif short in pods and pod not in pods[short]:
            pods[short].append(pod)
    return " ".join(f"{names[0]}{_and_more(names)}: {cause}." for cause, names in pods.items())


def _and_more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def pod_name_of(workflow: str, node: Json) -> str:
    """Return the name of a node's pod as Argo makes it: Workflow, template and the hash at the end of the node's id."""
    if node.get("name") == workflow:
        return workflow
    template = node.get("templateName") or (node.get("templateRef") or {}).get("template") or ""
    number = str(node.get("id")).rpartition("-")[2]
    prefix = f"{workflow}-{template}" if template else workflow
    return f"{prefix[: 253 - 11]}-{number}"


def is_unheeded(workflow: Json, now: datetime) -> bool:
    """Return whether a Workflow exists whose status no controller has written yet."""
    created = (workflow.get("metadata") or {}).get("creationTimestamp")
    if not created or (workflow.get("status") or {}).get("phase") or is_preparing(workflow):
        return False
    return (now - datetime.fromisoformat(created)).total_seconds() > _UNHEEDED_SECONDS


def _known_words(workflow: Json) -> str:
    status = workflow.get("status") or {}
    said = [status.get("message"), *(node.get("message") for node in nodes_of(status).values())]
    return "\n".join(" ".join(str(words).split()) for words in said if words)


def _pod_name(pod: Json) -> str:
    return str(pod["metadata"]["name"])


def _is_starting(pod: Json) -> bool:
    """Return whether a pod has a node and does not run yet; without a node, its own condition has the cause."""
    return (pod.get("status") or {}).get("phase") == "Pending" and bool((pod.get("spec") or {}).get("nodeName"))


def _has_stalled(pod: Json) -> bool:
    """Return whether a pod on a node has reported neither its end nor that it is ready: its node may be gone."""
    status = pod.get("status") or {}
    conditions = status.get("conditions") or []
    is_ready = any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)
    is_running = status.get("phase") == "Running" and bool(conditions) and not is_ready
    return is_running or _is_starting(pod)
