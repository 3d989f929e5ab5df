"""The cluster: its nodes, and the permissions of the service account."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from engines.argo.client import Client, Json, Refused
from engines.argo.options import Options
from engines.argo.paging import drained, pages
from engines.argo.workflows import API_VERSION
from engines.base import ClusterNode, EngineUnavailable

NODES = "/api/v1/nodes"
# (group, resource, verbs) of a namespace; resources of the whole cluster follow separately.
NEEDED = (
    ("argoproj.io", "workflows", ("create", "get", "list", "watch", "patch", "delete")),
    ("", "secrets", ("create", "get", "patch", "delete")),
    ("", "configmaps", ("create", "get", "patch", "delete")),
    ("", "pods", ("list",)),
    ("", "pods/log", ("get",)),
    ("", "events", ("list",)),
)
NEEDED_OF_CLUSTER = (("", "nodes", ("get", "list")),)
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
# How long results are reused; short, so that a repair is seen soon.
_GOOD_FOR_SECONDS, _BAD_FOR_SECONDS = 600.0, 15.0


def cluster_nodes(client: Client, page_size: int) -> list[ClusterNode]:
    """Return the nodes of the cluster. Raises `EngineUnavailable`."""
    return [cluster_node(node) for items, _ in pages(client, NODES, page_size) for node in drained(items)]


def cluster_node(node: Json) -> ClusterNode:
    """Return a cluster node as the port's `NodeInfo`."""
    message = why_not_ready(node)
    return ClusterNode(str(node["metadata"]["name"]), node["metadata"].get("labels") or {}, not message, message)


def why_not_ready(node: Json) -> str:
    """Return why no pod can run on a node, empty where it can."""
    conditions = (node.get("status") or {}).get("conditions") or []
    ready = next((condition for condition in conditions if condition.get("type") == "Ready"), None)
    if ready is None:
        return "the kubelet has not reported yet"
    if ready.get("status") != "True":
        return str(ready.get("message") or ready.get("reason") or "the node is not ready")
    return "the node is cordoned and takes no new pods" if (node.get("spec") or {}).get("unschedulable") else ""


class Permissions:
    """Checks what the engine needs; results of the long checks are reused for a while."""

    def __init__(self, client: Client, options: Options, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._namespace = options.namespace
        self._clock = clock
        self._lock = threading.Lock()
        self._known_until = float("-inf")
        self._missing: list[str] = []

    def problems(self) -> list[str]:
        """Return what is wrong, in words for an operator."""
        with self._lock:
            try:
                return self._problems()
            except EngineUnavailable as error:
                return [str(error)]

    def _problems(self) -> list[str]:
        try:
            found = self._client.get(f"/apis/{API_VERSION}")
        except Refused as refused:
            if refused.status != 404:
                return [f"the API server refuses the credentials: {refused.words}"]
            found = {}
        if not any(resource.get("name") == "workflows" for resource in found.get("resources") or []):
            return [f"Argo Workflows is not installed: the cluster does not have the resource Workflow ({API_VERSION})"]
        if self._clock() >= self._known_until:
            self._missing = self._missing_namespace() + self._missing_rights()
            self._known_until = self._clock() + (_BAD_FOR_SECONDS if self._missing else _GOOD_FOR_SECONDS)
        return [*self._missing]

    def _missing_namespace(self) -> list[str]:
        # A dry run: it tells whether the namespace exists, also without the right to read namespaces.
        probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "orchestrator-check-"}}
        try:
            self._client.post(f"/api/v1/namespaces/{self._namespace}/configmaps?dryRun=All", probe)
        except Refused as refused:
            if refused.status == 404:
                return [f"the namespace {self._namespace} does not exist"]
        return []

    def _missing_rights(self) -> list[str]:
        problems = []
        for needed, namespace in ((NEEDED, self._namespace), (NEEDED_OF_CLUSTER, "")):
            for group, resource, verbs in needed:
                missing = [verb for verb in verbs if not self._may(verb, group, resource, namespace)]
                if missing:
                    where = f" in namespace {namespace}" if namespace else ""
                    problems.append(
                        f"the service account lacks the permission to {', '.join(missing)} {resource}{where}"
                    )
        return problems

    def _may(self, verb: str, group: str, resource: str, namespace: str) -> bool:
        name, _, part = resource.partition("/")
        wanted = {"verb": verb, "group": group, "resource": name, "subresource": part, "namespace": namespace}
        kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        answer = self._client.post(_REVIEWS, {**kind, "spec": {"resourceAttributes": wanted}})
        return bool((answer.get("status") or {}).get("allowed"))
