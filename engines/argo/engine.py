"""The Argo engine: each Workflow is a custom resource, which a controller of Argo runs as pods."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from engines.argo import workflows
from engines.argo.attachments import Attachments
from engines.argo.client import Client, Json, Refused
from engines.argo.cluster import Permissions, cluster_nodes
from engines.argo.confinement import excesses
from engines.argo.explanations import Explanations
from engines.argo.last_known import LastKnown
from engines.argo.options import Options
from engines.argo.pacing import TokenBucket
from engines.argo.paging import drained, pages
from engines.argo.pods import PodLogs
from engines.argo.watching import Watch
from engines.base import (
    DIGEST_ANNOTATION,
    ClusterNode,
    Engine,
    EngineUnavailable,
    LogLine,
    Manifest,
    ManifestRejected,
    StopStrategy,
    Submission,
    WorkflowConflict,
    WorkflowEvent,
    WorkflowNotFound,
    WorkflowStatus,
)

_TRIES = 5


class ArgoEngine(Engine):
    """Runs Workflows on Kubernetes; `engines.argo.options.Options` lists its options."""

    keeps_logs = False
    tells_streams = False

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        super().__init__(alias, options)
        self.settings = Options.read(options)
        namespace = self.settings.namespace
        bucket = TokenBucket(self.settings.requests_per_second, self.settings.burst)
        self._client = Client(self.settings, bucket)
        self._path = workflows.collection_path(namespace)
        self._attachments = Attachments(self._client, namespace)
        self._watch = Watch(self._client, self._path, self.settings)
        self._logs = PodLogs(self._client, namespace, self.settings.timeout_seconds)
        # Explanations wait until no more important request is waiting.
        self._explanations = Explanations(Client(self.settings, bucket, self.settings.burst / 2), namespace)
        self._last_known = LastKnown(self._client, self.settings)
        self._permissions = Permissions(self._client, self.settings)

    def placed(self, manifest: Manifest) -> str:
        beside = self.settings.privileged_engine
        return beside if beside and any(excesses(manifest, self.settings.root_images)) else self.alias

    # Submitting; after a crash between any two calls the next try finishes the rest: the Workflow
    # comes first without a controller, then the objects that it owns, then Argo's controller gets it.

    def submit(self, submission: Submission) -> WorkflowStatus:
        wanted = workflows.to_send(submission, self.settings)
        try:
            workflow = self._client.post(self._path, wanted)
        except Refused as refused:
            if refused.status == 409:
                workflow = self._taken(submission)
            else:
                raise workflows.rejection(refused) or refused from refused
        if workflows.is_preparing(workflow):
            workflow = self._complete(workflow, submission)
        return workflows.status_of(workflow)

    def _taken(self, submission: Submission) -> Json:
        """Return the Workflow of a submission's name, if it has the same manifest."""
        found = self._client.find(f"{self._path}/{submission.name}")
        if found is None:
            raise EngineUnavailable(f"another Workflow had the name {submission.name} a moment ago")
        if not workflows.is_ours(found):
            raise WorkflowConflict(f"a Workflow named {submission.name} already exists and is not the orchestrator's")
        if workflows.annotation(found, DIGEST_ANNOTATION) != submission.digest:
            raise WorkflowConflict(f"a Workflow named {submission.name} already exists with another manifest")
        return found

    def _complete(self, workflow: Json, submission: Submission) -> Json:
        try:
            self._attachments.attach(workflow, submission)
        except (ManifestRejected, WorkflowConflict):
            self._remove(workflow)
            raise
        try:
            return self._client.patch(f"{self._path}/{submission.name}", workflows.handover(self.settings))
        except Refused as refused:
            if refused.status == 404:
                self._attachments.detach(workflow)
                raise EngineUnavailable(
                    f"the Workflow {submission.name} was deleted while it was submitted"
                ) from refused
            raise

    # Following

    def watch(self, since: str = "", timeout_seconds: float = 60.0) -> Iterator[WorkflowEvent]:
        return self._watch.events(since, timeout_seconds)

    def list(self) -> Iterator[WorkflowStatus]:
        seen: set[str] = set()
        query = {"labelSelector": workflows.selector(self.settings)}
        for items, _ in pages(self._client, self._path, self.settings.page_size, **query):
            for workflow in drained(items):
                name = workflow["metadata"]["name"]
                if name not in seen and not workflows.is_preparing(workflow):
                    seen.add(name)
                    yield workflows.status_of(workflow)

    def get(self, name: str) -> WorkflowStatus:
        found = self._found(name)
        if workflows.is_preparing(found):
            raise WorkflowNotFound(f"the Workflow {name} is not completely submitted")
        return workflows.status_of(found)

    def _found(self, name: str) -> Json:
        found = self._client.find(f"{self._path}/{name}") if workflows.is_name(name) else None
        if found is None or not workflows.is_ours(found):
            raise WorkflowNotFound(f"no Workflow is named {name}")
        return found

    # Ending

    def stop(self, name: str, strategy: StopStrategy = StopStrategy.STOP) -> None:
        found = self._found(name)
        if not workflows.status_of(found).phase.is_terminal:
            self._patch(name, workflows.shutdown(found, strategy, self.settings))

    def end_pod(self, name: str, node: str) -> bool:
        self._found(name)
        return self._logs.end_pod(name, node)

    def resume(self, name: str, node: str = "") -> None:
        for _ in range(_TRIES):
            found = self._found(name)
            patch = workflows.resumption(found, node, datetime.now(UTC))
            if not patch:
                return
            try:
                self._patch(name, patch)
            except Refused as refused:
                if refused.status != 409:
                    raise
            else:
                return
        raise EngineUnavailable(f"the Workflow {name} keeps changing")

    def _patch(self, name: str, patch: Json) -> None:
        try:
            self._client.patch(f"{self._path}/{name}", patch)
        except Refused as refused:
            if refused.status == 404:
                raise WorkflowNotFound(f"no Workflow is named {name}") from refused
            raise

    def delete(self, name: str) -> None:
        found = self._client.find(f"{self._path}/{name}") if workflows.is_name(name) else None
        if found is not None and workflows.is_ours(found):
            self._remove(found)

    def _remove(self, workflow: Json) -> None:
        # Only the Workflow lists the objects that it owns, so it is deleted last. A cluster's garbage collector would
        # do the rest.
        self._attachments.detach(workflow)
        metadata = workflow["metadata"]
        order = {"propagationPolicy": "Background", "preconditions": {"uid": metadata["uid"]}}
        try:
            self._client.delete(f"{self._path}/{metadata['name']}", order)
        except Refused as refused:
            # 409: another Workflow has taken the name meanwhile.
            if refused.status not in (404, 409):
                raise

    # Nodes, logs and explanations

    def logs(
        self, name: str, node: str = "", follow: bool = False, wanted: Callable[[], bool] = lambda: True
    ) -> Iterator[LogLine]:
        workflow = self._found(name)
        return self._logs.followed(workflow, node, wanted) if follow else self._logs.written(workflow, node)

    def image_digests(self, name: str, images: Collection[str]) -> Mapping[str, str]:
        found = self._logs.image_digests(name) if workflows.is_name(name) else {}
        return {image: digest for image, digest in found.items() if image in images}

    def explain(self, name: str) -> str:
        return self._explanations.of(name) if workflows.is_name(name) else ""

    def stranded(self, nodes: Collection[str]) -> Mapping[str, str]:
        return self._explanations.of_stranded(nodes)

    def last_known(self, name: str, uid: str = "") -> WorkflowStatus | None:
        return self._last_known.of(name, uid) if workflows.is_name(name) else None

    def nodes(self) -> builtins.list[ClusterNode]:
        return cluster_nodes(self._client, self.settings.page_size)

    def check(self) -> builtins.list[str]:
        return self._permissions.problems()
