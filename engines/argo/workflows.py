"""Workflows as Kubernetes stores them: objects that are sent, and statuses that are read.

https://argo-workflows.readthedocs.io/en/latest/fields/#workflow
"""

from __future__ import annotations

import base64
import binascii
import gzip
import logging
import re
import zlib
from datetime import datetime
from typing import Any

import orjson

from engines.argo.client import Json, Refused
from engines.argo.confinement import excesses, labelled, restricted, without_tokens
from engines.argo.options import PREPARING, Options
from engines.base import (
    DIGEST_ANNOTATION,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    EngineUnavailable,
    ManifestRejected,
    StopStrategy,
    Submission,
    WorkflowPhase,
    WorkflowStatus,
    waits_to_be_resumed,
)

logger = logging.getLogger(__name__)

API_VERSION = "argoproj.io/v1alpha1"
KIND = "Workflow"
INSTANCE_LABEL = "workflows.argoproj.io/controller-instanceid"
# The names of the Secrets and ConfigMaps that go with a Workflow, as JSON: {"secrets": […], "configmaps": […]}.
ATTACHMENTS_ANNOTATION = "orchestrator/attachments"

# The least time that an ended Workflow and its pods stay; pods stay as long as their Workflow.
_COPY_SECONDS = 30
_AFTER_THE_WORKFLOW = {
    "OnPodCompletion": "OnWorkflowCompletion",
    "OnWorkflowCompletion": "OnWorkflowCompletion",
    "OnPodSuccess": "OnWorkflowSuccess",
    "OnWorkflowSuccess": "OnWorkflowSuccess",
}

_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_FIELD_PART = re.compile(r"[^.\[\]]+|\[[^\]]*\]")
_SERVERS_OWN = (
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
)
# Statuses with which the API server refuses an object. 413 means too large.
_REJECTIONS = (400, 413, 422)
_TOO_LARGE = ("request is too large", "request entity too large", "is too large to be stored")


def collection_path(namespace: str) -> str:
    """Return the API server's path of Workflows."""
    return f"/apis/{API_VERSION}/namespaces/{namespace}/workflows"


def is_name(name: str) -> bool:
    """Return whether a Workflow can have this name."""
    return _NAME.fullmatch(name) is not None


def selector(options: Options) -> str:
    """Return the label selector of our Workflows."""
    ours = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
    return f"{ours},{INSTANCE_LABEL}={options.instance_id}" if options.instance_id else ours


def to_send(submission: Submission, options: Options) -> Json:
    """Return the object that stands for a submission.

    With Secrets or ConfigMaps to come it lists them, and no controller processes it yet. The configuration chooses the
    controller, not the manifest. Raises `ManifestRejected`.
    """
    manifest = submission.manifest
    _check(submission)
    spec = _lasting(labelled(manifest))
    if options.restricted:
        _check_is_restricted(submission, options)
        spec = restricted(spec)
    if options.executor_service_account:
        spec = without_tokens(spec, options.executor_service_account)
    if options.service_account:
        spec.setdefault("serviceAccountName", options.service_account)
    given = manifest.get("metadata") or {}
    metadata = {key: value for key, value in given.items() if key not in _SERVERS_OWN}
    metadata["name"] = submission.name
    labels = {**(given.get("labels") or {}), MANAGED_BY_LABEL: MANAGED_BY, INSTANCE_LABEL: options.instance_id}
    metadata["annotations"] = {**(given.get("annotations") or {}), DIGEST_ANNOTATION: submission.digest}
    if submission.secrets or submission.config_maps:
        names = {"secrets": sorted(submission.secrets), "configmaps": sorted(submission.config_maps)}
        metadata["annotations"][ATTACHMENTS_ANNOTATION] = orjson.dumps(names).decode()
        labels[INSTANCE_LABEL] = PREPARING
    metadata["labels"] = {key: value for key, value in labels.items() if key != INSTANCE_LABEL or value}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def _lasting(spec: Json) -> Json:
    """Keep a Workflow and its pods until their logs are copied: Kubernetes deletes logs with the pods."""
    changed: Json = {}
    if isinstance(times := spec.get("ttlStrategy"), dict):
        changed["ttlStrategy"] = {key: _at_least(value, _COPY_SECONDS) for key, value in times.items()}
    collection = spec.get("podGC")
    if isinstance(collection, dict) and (strategy := _AFTER_THE_WORKFLOW.get(str(collection.get("strategy")))):
        changed["podGC"] = {**collection, "strategy": strategy, "deleteDelayDuration": f"{_COPY_SECONDS}s"}
    return {**spec, **changed}


def _at_least(value: Any, least: int) -> Any:
    return max(value, least) if isinstance(value, int) else value


def _check(submission: Submission) -> None:
    manifest = submission.manifest
    for key, expected in (("apiVersion", API_VERSION), ("kind", KIND)):
        if manifest.get(key) != expected:
            raise ManifestRejected(f"{key} must be {expected}", f"/{key}")
    if not is_name(submission.name):
        raise ManifestRejected(f"'{submission.name}' is not a valid name of a Workflow", "/metadata/name")
    for path in (("spec",), ("metadata",), ("metadata", "labels"), ("metadata", "annotations")):
        value: Any = manifest
        for key in path:
            value = value.get(key) or {}
        if not isinstance(value, dict):
            raise ManifestRejected(f"{path[-1]} must be an object", f"/{'/'.join(path)}")
    if not manifest.get("spec"):
        raise ManifestRejected("a Workflow must have a spec", "/spec")
    if manifest["spec"].get("workflowTemplateRef"):
        raise ManifestRejected("a Workflow must hold its own templates", "/spec/workflowTemplateRef")


def _check_is_restricted(submission: Submission, options: Options) -> None:
    for pointer, what in excesses(submission.manifest, options.root_images):
        raise ManifestRejected(
            f"pods in the namespace {options.namespace} must not have {what}; "
            "an operator can name a namespace for such Workflows in ARGO_PRIVILEGED_NAMESPACE",
            pointer,
        )


def handover(options: Options) -> Json:
    """Return the patch that assigns a Workflow to its controller."""
    return {"metadata": {"labels": {INSTANCE_LABEL: options.instance_id or None}}}


def shutdown(workflow: Json, strategy: StopStrategy, options: Options) -> Json:
    """Return the patch that ends a Workflow."""
    # Argo does not process a suspended Workflow, not even to shut it down.
    spec: Json = {"shutdown": str(strategy), "suspend": None}
    if not is_preparing(workflow):
        return {"spec": spec}
    # Nothing has run yet, and the Secrets of an exit handler may never be made.
    return {"spec": {**spec, "shutdown": str(StopStrategy.TERMINATE)}, **handover(options)}


def rejection(refused: Refused) -> ManifestRejected | None:
    """Return the API server's fault of an object, or None where it refused for another reason."""
    too_large = refused.status >= 500 and any(words in refused.words.lower() for words in _TOO_LARGE)
    if refused.status not in _REJECTIONS and not too_large:
        return None
    causes = (refused.answer.get("details") or {}).get("causes") or []
    pointers = [pointer_of(str(cause["field"])) for cause in causes if cause.get("field")]
    return ManifestRejected(refused.words, pointers[0] if pointers else "")


def pointer_of(field: str) -> str:
    """Return the JSON pointer of a field as the API server names it, e.g. spec.templates[0].name."""
    # "<nil>" stands for the object itself.
    parts = [part.strip("[]") for part in _FIELD_PART.findall(field) if part != "<nil>"]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def annotation(workflow: Json, name: str) -> str:
    """Return an annotation of an object, empty where it has none of that name."""
    return str((workflow["metadata"].get("annotations") or {}).get(name) or "")


def is_ours(workflow: Json) -> bool:
    """Return whether an object was made by the orchestrator."""
    labels = workflow["metadata"].get("labels") or {}
    return labels.get(MANAGED_BY_LABEL) == MANAGED_BY or bool(annotation(workflow, DIGEST_ANNOTATION))


def is_preparing(workflow: Json) -> bool:
    """Return whether a Workflow is not completely submitted yet.

    Otherwise it would count as submitted, and its missing parts would never be made.
    """
    return (workflow["metadata"].get("labels") or {}).get(INSTANCE_LABEL) == PREPARING


def attachments_of(workflow: Json) -> dict[str, list[str]]:
    """Return the names of a Workflow's Secrets and ConfigMaps, by resource."""
    told = annotation(workflow, ATTACHMENTS_ANNOTATION)
    try:
        names = orjson.loads(told) if told else {}
    except orjson.JSONDecodeError:
        return {}
    return names if isinstance(names, dict) else {}


def status_of(workflow: Json) -> WorkflowStatus:
    """Return the status of a Workflow."""
    metadata, status = workflow["metadata"], workflow.get("status") or {}
    return WorkflowStatus(
        name=str(metadata["name"]),
        phase=WorkflowPhase(status.get("phase") or WorkflowPhase.PENDING),
        message=str(status.get("message") or ""),
        progress=str(status.get("progress") or ""),
        nodes=nodes_of(status),
        started_at=status.get("startedAt") or None,
        finished_at=status.get("finishedAt") or None,
        digest=annotation(workflow, DIGEST_ANNOTATION),
        uid=str(metadata.get("uid") or ""),
        version=str(metadata.get("resourceVersion") or ""),
    )


def nodes_of(status: Json) -> dict[str, Json]:
    """Return the nodes of a status, decompressed where Argo has compressed them: gzip, then base64, above 1 MB."""
    packed = status.get("compressedNodes")
    if not packed:
        return status.get("nodes") or {}
    try:
        nodes: dict[str, Json] = orjson.loads(gzip.decompress(base64.b64decode(packed)))
    except (binascii.Error, OSError, EOFError, zlib.error, ValueError) as error:
        logger.warning("the compressed nodes of a Workflow cannot be read: %s", error)
        return {}
    return nodes


def resumption(workflow: Json, node_id: str, now: datetime) -> Json:
    """Return the patch that lets a Workflow go on from the Suspend node with this id, or from all that it waits at.

    Without an id, a Workflow that is suspended as a whole goes on too. Empty where there is nothing to resume.
    """
    status = workflow.get("status") or {}
    over = {"phase": "Succeeded", "finishedAt": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    waiting = {
        key: over for key, node in nodes_of(status).items() if waits_to_be_resumed(node) and node_id in ("", key)
    }
    patch: Json = {} if node_id else {"spec": {"suspend": None}}
    if waiting and status.get("compressedNodes"):
        raise EngineUnavailable("a Workflow of this size can only be resumed by Argo's own tools")
    if waiting:
        patch |= {
            "metadata": {"resourceVersion": workflow["metadata"]["resourceVersion"]},
            "status": {"nodes": waiting},
        }
    return patch
