"""The engine port: what the orchestrator needs from an engine that runs Workflows.

Statuses are Argo's own (https://argo-workflows.readthedocs.io/en/latest/fields/#workflowstatus): both engines speak
`phase`, `message`, `progress` and `nodes` as the Argo controller writes them, so that a reader of a run never has to
know which engine ran it.

The error tree::

    EngineError
    ├── EngineUnavailable        the engine did not answer; try again later
    ├── ManifestRejected         the engine cannot run this manifest; `pointer` names the first offending field
    ├── WorkflowConflict         another Workflow has that name
    └── WorkflowNotFound         no Workflow has that name
"""

from __future__ import annotations

import builtins
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from engines.tails import Pumped

Manifest = dict[str, Any]

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "orchestrator"
DIGEST_ANNOTATION = "orchestrator/manifest-digest"
# Only on Workflows of federated trainings: the bytes that a model may have.
FEDERATED_ANNOTATION = "orchestrator/max-model-bytes"


class WorkflowPhase(StrEnum):
    """The phase of a Workflow as Argo names it; `PENDING` also stands for an empty phase."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ERROR = "Error"

    @property
    def is_terminal(self) -> bool:
        return self in (WorkflowPhase.SUCCEEDED, WorkflowPhase.FAILED, WorkflowPhase.ERROR)


class StopStrategy(StrEnum):
    """How a Workflow is shut down; the values of Argo's `spec.shutdown`.

    `STOP` still runs the exit handler, `TERMINATE` does not.
    """

    STOP = "Stop"
    TERMINATE = "Terminate"


class EngineError(Exception):
    """The base of all engine errors."""


class EngineUnavailable(EngineError):
    """The engine could not be reached or did not answer in time."""


class ManifestRejected(EngineError):
    """The engine cannot run this manifest.

    `pointer` is the JSON pointer (RFC 6901) of the first field that it cannot run.
    """

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer


class WorkflowConflict(EngineError):
    """A Workflow of that name exists and is not the one that was submitted."""


class WorkflowNotFound(EngineError):
    """No Workflow has that name."""


def manifest_digest(manifest: Manifest) -> str:
    """Return the SHA-256 of a manifest, whatever the order of its keys."""
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class Submission:
    """A Workflow to run, with its Secrets and ConfigMaps.

    `manifest` is a whole Argo Workflow object (apiVersion, kind, metadata, spec). `config_maps` and `secrets` map
    object names to their keys and values; they belong to the Workflow and are deleted with it. `of_installation`
    names the ConfigMaps among them that an installation may have made itself: then that one is used as it is.
    """

    name: str
    manifest: Manifest
    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    of_installation: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        return manifest_digest(self.manifest)


@dataclass(frozen=True)
class WorkflowStatus:
    """What an engine knows of one Workflow.

    `nodes` maps node ids to Argo's NodeStatus objects (id, name, displayName, type, templateName, phase, message,
    startedAt, finishedAt, children, boundaryID, inputs, outputs, hostNodeName, progress). `version` grows with each
    change of this Workflow and is opaque otherwise. Times are RFC 3339 in UTC.
    """

    name: str
    phase: WorkflowPhase
    message: str = ""
    progress: str = ""
    nodes: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    started_at: str | None = None
    finished_at: str | None = None
    digest: str = ""
    uid: str = ""
    version: str = ""


@dataclass(frozen=True)
class WorkflowEvent:
    """One change seen by a watch: the Workflow's status, or its last one when it is deleted."""

    status: WorkflowStatus
    deleted: bool = False
    cursor: str = ""


@dataclass(frozen=True)
class LogLine:
    """One line that a container wrote; `stream` is `stdout` or `stderr`, `at` RFC 3339 or empty when not known."""

    node: str
    container: str
    stream: str
    text: str
    at: str = ""


class LogTail(Protocol):
    """The lines of a log as they come; None means that there is no new line at the moment."""

    def __iter__(self) -> Iterator[LogLine | None]: ...
    def __next__(self) -> LogLine | None: ...
    def close(self) -> None: ...


def _always() -> bool:
    return True


@dataclass(frozen=True)
class ClusterNode:
    """A machine that pods can be placed on; `message` says why it is not ready, and is '' where it is."""

    name: str
    labels: Mapping[str, str]
    ready: bool = True
    message: str = ""


def waits_to_be_resumed(node: Mapping[str, Any]) -> bool:
    """Return whether a node is one of a `suspend` template at which its Workflow waits."""
    return (node.get("type"), node.get("phase")) == ("Suspend", "Running")


class Engine(ABC):
    """Runs Workflows. Every call may raise `EngineUnavailable`, and returns within the engine's own time-outs."""

    # Whether `logs` still answers after the pods, and a Workflow that its ttlStrategy deletes, are gone, until
    # `delete`; otherwise the orchestrator copies the logs.
    keeps_logs = True
    # Whether lines say which of its two outputs a container wrote to; otherwise all are `stdout`.
    tells_streams = True
    # Whether it runs Workflows on the caller's own machine, and has requirements on that machine.
    is_of_this_machine = False
    # Whether each `tail` has a thread.
    tails_by_thread = True

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        self.alias = alias
        self.options = options

    @abstractmethod
    def submit(self, submission: Submission) -> WorkflowStatus:
        """Start a Workflow under its fixed name.

        Submitting the same name and digest again returns the status of the first; another digest raises
        `WorkflowConflict`. Raises `ManifestRejected` where the engine knows at once that it cannot run the manifest.
        """

    @abstractmethod
    def watch(self, since: str = "", timeout_seconds: float = 60.0) -> Iterator[WorkflowEvent]:
        """Yield changes of the orchestrator's Workflows after the cursor `since` ('' = current state of all first),
        then return.

        The iterator ends after `timeout_seconds` without an error; call it again with the last
        event's cursor.
        """

    @abstractmethod
    def list(self) -> Iterator[WorkflowStatus]:
        """Yield the status of every Workflow of the orchestrator."""

    @abstractmethod
    def get(self, name: str) -> WorkflowStatus:
        """Return a Workflow's status. Raises `WorkflowNotFound`."""

    @abstractmethod
    def stop(self, name: str, strategy: StopStrategy = StopStrategy.STOP) -> None:
        """Shut a Workflow down; it ends as Failed. No error when it has ended. Raises `WorkflowNotFound`."""

    def end_pod(self, name: str, node: str) -> bool:
        """End a pod of a Workflow, by its node's id, as if somebody had deleted it; return False without the
        permission.

        Its node ends as `Error`, and is tried again where its retryStrategy says so. No error when it has ended. Raises
        `WorkflowNotFound`.
        """
        return False

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete a Workflow, its processes, and its Secrets and ConfigMaps. No error when it does not exist."""

    @abstractmethod
    def logs(
        self, name: str, node: str = "", follow: bool = False, wanted: Callable[[], bool] = _always
    ) -> Iterator[LogLine]:
        """Yield what the containers of a Workflow (or of one node id) wrote, until the end when `follow`.

        Lines that exist already come in the order of their times.

        While it waits for more, it calls `wanted` every second or two, and False ends it: a reader that went away would
        otherwise keep it open as long as the Workflow runs. Raises `WorkflowNotFound`.
        """

    def placed(self, manifest: Manifest) -> str:
        """Return the alias of the engine for a manifest: this one, or one with more permissions."""
        return self.alias

    def tail(self, name: str, node: str = "") -> LogTail:
        """Give the lines that `logs` yields when it follows, with None in place of every wait.

        Where `tails_by_thread`, a thread of its own waits for them. Raises `WorkflowNotFound`.
        """
        return Pumped(lambda wanted: self.logs(name, node, follow=True, wanted=wanted))

    def nodes(self) -> builtins.list[ClusterNode]:
        """Return the nodes that pods can be placed on, ready or not."""
        return []

    def explain(self, name: str) -> str:
        """Return why a Workflow waits or failed, as its surroundings report; '' where they do not.

        The Workflow's own status is not repeated. No error when it does not exist.
        """
        return ""

    def stranded(self, nodes: Collection[str]) -> Mapping[str, str]:
        """Return a sentence for each Workflow with pods on a lost node among `nodes`, by the name of the Workflow.

        A node is not lost if it only accepts no new pods. Raises `EngineUnavailable`.
        """
        return {}

    def image_digests(self, name: str, images: Collection[str]) -> Mapping[str, str]:
        """Return the digests of a Workflow's images that were really run, as far as they are known.

        Known before it runs only for the engine's own images. No error when the Workflow does not exist.
        """
        return {}

    def last_known(self, name: str, uid: str = "") -> WorkflowStatus | None:
        """Return the last known status of a deleted Workflow, or None where nothing is known.

        It has an end, or phase Running where only the beginning is known. With a uid, of that Workflow only; another
        may have had its name.
        """
        return None

    def resume(self, name: str, node: str = "") -> None:
        """Let a suspended Workflow go on, from the node with this id, or from all nodes that it waits at.

        No error where it does not wait there. Raises `WorkflowNotFound`.
        """
        raise NotImplementedError

    def check(self) -> builtins.list[str]:
        """Return what is wrong with this engine's options and surroundings, in words for an operator."""
        return []
