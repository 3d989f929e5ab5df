"""The logs of a Workflow's containers, which the API server reads from the kubelets.

Kubernetes gives one stream for each container, with stdout and stderr mixed. A follower has a thread for each container
that has started, and polls for new ones.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from engines.argo.client import Client, Json, Quiet, Refused
from engines.argo.executor_lines import is_of_executor
from engines.argo.explanations import WORKFLOW_LABEL
from engines.argo.paging import drained, pages
from engines.argo.workflows import collection_path, nodes_of
from engines.base import EngineUnavailable, LogLine, WorkflowPhase
from engines.log_order import Lines, in_order

NODE_ANNOTATION = "workflows.argoproj.io/node-id"
# Argo's own containers, beside those of the manifest.
_ARGOS_OWN = ("init", "wait")
_ARGOS_PREFIX = "artifact-plugin-"
_LOOK_SECONDS = 1.5
_ASK_SECONDS = 0.5
# How long containers may go on writing after their Workflow has ended.
_GRACE_SECONDS = 30.0
_WAITING_LINES = 1000
_LINES_AHEAD = 500
_LONGEST_LINE = 256 * 1024
_TRIES = 3
_PAGE = 100
_ENDED = ("Succeeded", "Failed", "Error", "Skipped", "Omitted")


@dataclass(frozen=True)
class Source:
    """A container that has started."""

    node: str
    pod: str
    container: str
    has_ended: bool = field(default=False, compare=False)
    started_at: str = field(default="", compare=False)


@dataclass
class _Position:
    """The time of the last line that was read."""

    at: str = ""


class PodLogs:
    """The logs of the Workflows of one namespace."""

    def __init__(self, client: Client, namespace: str, timeout_seconds: float) -> None:
        self._client = client
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._workflows = collection_path(namespace)
        self._timeout_seconds = timeout_seconds

    def written(self, workflow: Json, node: str) -> Iterator[LogLine]:
        """Yield what was written up to now, in the order of its times."""
        return self.merged({source: _Position() for source in self._sources(workflow, node)})

    def merged(self, sources: Mapping[Source, _Position]) -> Iterator[LogLine]:
        """Yield what containers wrote after their positions up to now, in the order of its times."""
        return in_order(
            Lines(source.started_at, _read_ahead(self.lines(source, position, follow=False)))
            for source, position in sources.items()
        )

    def followed(self, workflow: Json, node: str, wanted: Callable[[], bool]) -> Iterator[LogLine]:
        """Yield present and future lines, until the Workflow or the node ends, or `wanted` says no."""
        following = _Following(self)
        try:
            yield from following.lines(workflow, node, wanted)
        finally:
            following.stopping.set()

    def look(self, workflow: Json, node: str) -> tuple[list[Source], bool]:
        """Return the containers that have started, and whether there will be no more of them."""
        found = self._client.find(f"{self._workflows}/{workflow['metadata']['name']}")
        # The Workflow first: the containers of its ended nodes are then in the list.
        return list(self._sources(found or workflow, node)), found is None or _has_ended(found, node)

    def image_digests(self, name: str) -> dict[str, str]:
        """Return the images of a Workflow's pods, as far as they exist, with the pulled digests."""
        found: dict[str, str] = {}
        for items, _ in pages(self._client, self._pods, _PAGE, labelSelector=f"{WORKFLOW_LABEL}={name}"):
            for pod in drained(items):
                found.update(digests_of(pod))
        return found

    def end_pod(self, name: str, node: str) -> bool:
        """Delete the pod of a node, if it exists; return False without the permission."""
        for items, _ in pages(self._client, self._pods, _PAGE, labelSelector=f"{WORKFLOW_LABEL}={name}"):
            for pod in drained(items):
                metadata = pod["metadata"]
                if (metadata.get("annotations") or {}).get(NODE_ANNOTATION) != node:
                    continue
                order = {"preconditions": {"uid": metadata["uid"]}}
                try:
                    self._client.delete(f"{self._pods}/{metadata['name']}", order)
                except Refused as refused:
                    if refused.status == 403:
                        return False
                    # 404 and 409: the pod is gone, or another has its name.
                    if refused.status not in (404, 409):
                        raise
        return True

    def _sources(self, workflow: Json, node: str) -> Iterator[Source]:
        name = workflow["metadata"]["name"]
        pod_node, container = _place(nodes_of(workflow.get("status") or {}), node)
        found: list[tuple[str, list[Source]]] = []
        for items, _ in pages(self._client, self._pods, _PAGE, labelSelector=f"{WORKFLOW_LABEL}={name}"):
            for pod in drained(items):
                sources = [
                    source
                    for source in sources_of(pod)
                    if pod_node in ("", source.node) and container in ("", source.container)
                ]
                found.append((str((pod.get("status") or {}).get("startTime") or "~"), sources))
        for _, sources in sorted(found, key=lambda each: each[0]):
            yield from sources

    def lines(self, source: Source, position: _Position, *, follow: bool) -> Iterator[LogLine]:
        """Yield the lines of one container after a position; nothing where no log can be read yet or any more."""
        query: dict[str, Any] = {"container": source.container, "timestamps": "true"}
        if follow:
            query["follow"] = "true"
        told_until = _moment(position.at)
        if told_until:
            # The API takes whole seconds: lines that were read before are skipped below.
            query["sinceTime"] = position.at
        path, is_told = f"{self._pods}/{source.pod}/log", False
        try:
            with self._client.lines(path, self._timeout_seconds, _LONGEST_LINE, **query) as lines:
                for line in lines:
                    at, text = _split(line.decode("utf-8", "replace"))
                    # A piece of a long line has no time; it belongs to the piece before.
                    if moment := _moment(at):
                        is_told = told_until is not None and moment <= told_until
                        position.at = position.at if is_told else at
                    if not is_told and not is_of_executor(text):
                        yield LogLine(source.node, source.container, "stdout", text, _in_utc(at))
        except Refused as refused:
            # 404: the pod is gone; 400: the container waits to start, or its output is gone.
            if refused.status not in (400, 404):
                raise


class _Following:
    """Reads several containers at once."""

    def __init__(self, logs: PodLogs) -> None:
        self.stopping = threading.Event()
        self._logs = logs
        self._lines: queue.Queue[LogLine | EngineUnavailable] = queue.Queue(_WAITING_LINES)
        self._readers: dict[Source, threading.Thread] = {}
        self._positions: dict[Source, _Position] = {}
        self._ended: set[Source] = set()
        self._failed_looks = 0

    def lines(self, workflow: Json, node: str, wanted: Callable[[], bool]) -> Iterator[LogLine]:
        # First the lines until now, in their order; then new lines as they come.
        with contextlib.suppress(EngineUnavailable):
            self._positions = {source: _Position() for source in self._logs.look(workflow, node)[0]}
        yield from self._logs.merged(self._positions)
        over_at = look_at = 0.0
        while True:
            if not over_at and time.monotonic() >= look_at:
                over_at = time.monotonic() + _GRACE_SECONDS if self._look(workflow, node) else 0.0
                look_at = time.monotonic() + _LOOK_SECONDS
            # Checked before the queue: the queue then has all lines of a reader that has ended.
            is_done = over_at and (not self._is_reading() or time.monotonic() > over_at)
            try:
                line = self._lines.get(timeout=0 if is_done else _ASK_SECONDS)
            except queue.Empty:
                if is_done or not wanted():
                    return
                continue
            if isinstance(line, EngineUnavailable):
                raise line
            yield line

    def _look(self, workflow: Json, node: str) -> bool:
        try:
            sources, is_over = self._logs.look(workflow, node)
        except EngineUnavailable:
            self._failed_looks += 1
            if self._failed_looks >= _TRIES:
                raise
            return False
        self._failed_looks = 0
        self._ended |= set(sources) if is_over else {source for source in sources if source.has_ended}
        for source in sources:
            if source not in self._readers:
                reader = threading.Thread(target=self._read, args=(source,), daemon=True)
                self._readers[source] = reader
                reader.start()
        if is_over:
            # Containers of deleted pods have nothing more to read.
            self._ended |= self._readers.keys()
        return is_over

    def _is_reading(self) -> bool:
        return any(reader.is_alive() for reader in self._readers.values())

    def _read(self, source: Source) -> None:
        position, failures = self._positions.get(source) or _Position(), 0
        while not self.stopping.is_set():
            was_last = source in self._ended
            try:
                for line in self._logs.lines(source, position, follow=True):
                    failures = 0
                    self._put(line)
                    if self.stopping.is_set():
                        return
            except Quiet:
                continue
            except EngineUnavailable as error:
                failures += 1
                if failures >= _TRIES:
                    self._put(error)
                    return
            else:
                # The stream of a running container also ends when its kubelet restarts.
                if was_last:
                    return
            self.stopping.wait(_ASK_SECONDS)

    def _put(self, line: LogLine | EngineUnavailable) -> None:
        while not self.stopping.is_set():
            try:
                self._lines.put(line, timeout=_ASK_SECONDS)
            except queue.Full:
                continue
            return


def _read_ahead(lines: Iterator[LogLine]) -> Iterator[LogLine]:
    """Yield lines, the first of which are read at once: for most containers these are all, and nothing stays open.

    So only containers that write much take a connection.
    """
    ahead = deque(islice(lines, _LINES_AHEAD))
    while ahead:
        yield ahead.popleft()
    yield from lines


def sources_of(pod: Json) -> Iterator[Source]:
    """Yield the containers of a pod that have started, those of the manifest only."""
    metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    node = (metadata.get("annotations") or {}).get(NODE_ANNOTATION) or metadata["name"]
    told = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    states = {container["name"]: container for container in told}
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        name = container["name"]
        if name in _ARGOS_OWN or name.startswith(_ARGOS_PREFIX) or name not in states:
            continue
        state, last = states[name].get("state") or {}, states[name].get("lastState") or {}
        if "running" in state or "terminated" in state or "terminated" in last:
            began = state.get("running") or state.get("terminated") or {}
            started_at = "" if "terminated" in last else str(began.get("startedAt") or "")
            yield Source(str(node), str(metadata["name"]), str(name), "terminated" in state, started_at)


def digests_of(pod: Json) -> Iterator[tuple[str, str]]:
    """Yield the images of a pod's containers by their requested names, each with the digest that its node pulled."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    told = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    pulled = {container["name"]: str(container.get("imageID") or "") for container in told}
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        # <registry>/<name>@sha256:…, with a prefix on some runtimes.
        digest = pulled.get(container["name"], "").rpartition("@")[2]
        if digest.startswith("sha256:"):
            yield str(container.get("image")), digest


def _place(nodes: dict[str, Json], node: str) -> tuple[str, str]:
    """Return a node's pod node and container; a Container node is one of several in its pod."""
    found = nodes.get(node) or {}
    if found.get("type") != "Container":
        return node, ""
    container, pod_node = str(found.get("displayName") or ""), found
    while pod_node.get("type") == "Container" and pod_node.get("boundaryID") in nodes:
        pod_node = nodes[pod_node["boundaryID"]]
    return str(pod_node.get("id") or node), container


def _has_ended(workflow: Json, node: str) -> bool:
    status = workflow.get("status") or {}
    if WorkflowPhase(status.get("phase") or WorkflowPhase.PENDING).is_terminal:
        return True
    return (nodes_of(status).get(node) or {}).get("phase") in _ENDED


def _split(line: str) -> tuple[str, str]:
    """Return the time and the text of a line; a piece of a very long line has no time."""
    at, _, text = line.partition(" ")
    return (at, text) if _moment(at) else ("", line)


def _in_utc(at: str) -> str:
    """Return a time in UTC: a node's clock may have another time zone."""
    if at.endswith("Z") or (moment := _moment(at)) is None:
        return at
    seconds, fraction = moment
    fraction = fraction.rstrip("0")
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{'.' if fraction else ''}{fraction}Z"


def _moment(at: str) -> tuple[int, str] | None:
    """Return a time of RFC 3339 as seconds and fraction, comparable to the nanosecond."""
    if len(at) < 20 or at[10] != "T":
        return None
    seconds, fraction = at[:19], ""
    rest = at[19:]
    if rest.startswith("."):
        digits = len(rest[1:]) - len(rest[1:].lstrip("0123456789"))
        fraction, rest = rest[1 : 1 + digits], rest[1 + digits :]
    try:
        return int(datetime.fromisoformat(seconds + rest).timestamp()), fraction.ljust(9, "0")
    except ValueError:
        return None
