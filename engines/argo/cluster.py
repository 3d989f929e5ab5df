"""The cluster around the Workflows: its nodes, and what we may do there."""

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
# (group, resource, verbs); what is not of a namespace comes apart.
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
# What was found is not asked again for so long; who mends something does not want to wait.
_GOOD_FOR_SECONDS, _BAD_FOR_SECONDS = 600.0, 15.0


def cluster_nodes(client: Client, page_size: int) -> list[ClusterNode]:
    """Return the nodes of the cluster. Raises `EngineUnavailable`."""
    return [cluster_node(node) for items, _ in pages(client, NODES, page_size) for node in drained(items)]


def cluster_node(node: Json) -> ClusterNode:
    """Return a node as it can be told to people."""
    message = why_not_ready(node)
    return ClusterNode(str(node["metadata"]["name"]), node["metadata"].get("labels") or {}, not message, message)


def why_not_ready(node: Json) -> str:
    """Return why no pod can run on a node, empty where it can."""
    conditions = (node.get("status") or {}).get("conditions") or []
    ready = next((condition for condition in conditions if condition.get("type") == "Ready"), None)
    if ready is None:
        return "its kubelet has not reported yet"
    if ready.get("status") != "True":
        return str(ready.get("message") or ready.get("reason") or "it is not ready")
    return "it takes no new pods (cordoned)" if (node.get("spec") or {}).get("unschedulable") else ""


class Permissions:
    """What is missing for the engine to work; the long part of it is not asked each time."""

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
                return [f"the API server does not let us in: {refused.words}"]
            found = {}
        if not any(resource.get("name") == "workflows" for resource in found.get("resources") or []):
            return [f"the cluster knows no Workflows ({API_VERSION}): Argo Workflows is not installed"]
        if self._clock() >= self._known_until:
            self._missing = self._missing_namespace() + self._missing_rights()
            self._known_until = self._clock() + (_BAD_FOR_SECONDS if self._missing else _GOOD_FOR_SECONDS)
        return [*self._missing]

    def _missing_namespace(self) -> list[str]:
        # Whoever may not look at namespaces still learns from this whether there is one; nothing is kept of it.
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
                    problems.append(f"the service account may not {', '.join(missing)} {resource}{where}")
        return problems

    def _may(self, verb: str, group: str, resource: str, namespace: str) -> bool:
        name, _, part = resource.partition("/")
        wanted = {"verb": verb, "group": group, "resource": name, "subresource": part, "namespace": namespace}
        kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        answer = self._client.post(_REVIEWS, {**kind, "spec": {"resourceAttributes": wanted}})
        return bool((answer.get("status") or {}).get("allowed"))
