"""The Secrets and ConfigMaps of a Workflow: the Workflow owns them, so they are deleted with it.

Each step can be repeated after a crash. An object of a fixed name may serve several Workflows, as long as they want
the same data; then they all own it, and it is deleted with the last of them. A foreign object is used where its
data are right, and is never deleted.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from engines.argo.client import Client, Json, Refused
from engines.argo.workflows import API_VERSION, KIND, attachments_of, rejection
from engines.base import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    EngineUnavailable,
    ManifestRejected,
    Submission,
    WorkflowConflict,
)

WORKFLOW_LABEL = "orchestrator/workflow"
RESOURCES = {"secrets": "Secret", "configmaps": "ConfigMap"}
_TRIES = 5
# Argo takes the values of parameters (`configMapKeyRef`) only from ConfigMaps that say so (LabelKeyConfigMapType in its
# workflow/common/common.go).
_PARAMETER_LABEL = {"workflows.argoproj.io/configmap-type": "Parameter"}


class Attachments:
    """The Secrets and ConfigMaps of one namespace."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._path = f"/api/v1/namespaces/{namespace}"

    def attach(self, workflow: Json, submission: Submission) -> None:
        """Make the Secrets and ConfigMaps of a Workflow that do not exist yet.

        Raises `WorkflowConflict` where a name is taken, `ManifestRejected` where the API server refuses one.
        """
        for name, values in submission.config_maps.items():
            self._make("configmaps", workflow, name, dict(values), name in submission.of_installation)
        for name, values in submission.secrets.items():
            encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
            self._make("secrets", workflow, name, encoded)

    def detach(self, workflow: Json) -> None:
        """Delete the objects that only this Workflow owns, and its ownership of shared ones."""
        for resource, names in attachments_of(workflow).items():
            for name in names if resource in RESOURCES else []:
                self._give_up(resource, workflow, str(name))

    def _make(
        self, resource: str, workflow: Json, name: str, data: Mapping[str, str], of_installation: bool = False
    ) -> None:
        kind = RESOURCES[resource]
        labels = _labels(workflow) | (_PARAMETER_LABEL if kind == "ConfigMap" else {})
        metadata = {"name": name, "labels": labels, "ownerReferences": [_reference(workflow)]}
        wanted: Json = {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data}
        try:
            self._client.post(f"{self._path}/{resource}", wanted)
        except Refused as refused:
            if refused.status == 409:
                self._share(resource, workflow, wanted, of_installation)
                return
            wrong = rejection(refused)
            if wrong is None:
                raise
            raise ManifestRejected(f"the {kind} {name} cannot be created: {wrong}") from refused

    def _share(self, resource: str, workflow: Json, wanted: Json, of_installation: bool) -> None:
        """Make a Workflow an owner of the object with the wanted name, or raise where it cannot be."""
        name = wanted["metadata"]["name"]
        path = f"{self._path}/{resource}/{name}"
        for _ in range(_TRIES):
            found = self._client.find(path)
            if found is None:
                break
            patch = _shared(found, wanted, workflow, of_installation)
            if patch is None or self._has_changed(path, found, patch):
                return
        raise EngineUnavailable(f"the {RESOURCES[resource]} {name} keeps changing")

    def _give_up(self, resource: str, workflow: Json, name: str) -> None:
        path = f"{self._path}/{resource}/{name}"
        for _ in range(_TRIES):
            found = self._client.find(path)
            if found is None or not _owns(workflow, found):
                return
            others = [owner for owner in _owners(found) if owner.get("uid") != workflow["metadata"]["uid"]]
            if self._has_changed(path, found, {"metadata": {"ownerReferences": others}} if others else None):
                return
        raise EngineUnavailable(f"the {RESOURCES[resource]} {name} keeps changing")

    def _has_changed(self, path: str, found: Json, patch: Json | None) -> bool:
        """Patch an object, or delete it where there is no patch; return whether it was unchanged until then."""
        version = {"resourceVersion": found["metadata"]["resourceVersion"]}
        try:
            if patch is None:
                self._client.delete(path, {"preconditions": version})
            else:
                self._client.patch(path, {**patch, "metadata": {**patch["metadata"], **version}})
        except Refused as refused:
            if refused.status in (404, 409):
                return False
            raise
        return True


def _labels(workflow: Json) -> dict[str, str]:
    # A label's value is shorter than a name may be.
    return {MANAGED_BY_LABEL: MANAGED_BY, WORKFLOW_LABEL: str(workflow["metadata"]["name"])[:63].rstrip("-.")}


def _reference(workflow: Json) -> Json:
    metadata = workflow["metadata"]
    return {"apiVersion": API_VERSION, "kind": KIND, "name": metadata["name"], "uid": metadata["uid"]}


def _owners(found: Json) -> list[Json]:
    return found["metadata"].get("ownerReferences") or []


def _owns(workflow: Json, found: Json) -> bool:
    return any(owner.get("uid") == workflow["metadata"]["uid"] for owner in _owners(found))


def _shared(found: Json, wanted: Json, workflow: Json, of_installation: bool) -> Json | None:
    """Return the patch that makes a Workflow own an existing object, or None where none is needed.

    One `of_installation` that the installation made is used unchanged; the orchestrator's own gets the latest data.
    Raises `WorkflowConflict` where the object holds other data for somebody else.
    """
    data, owners = found.get("data") or {}, _owners(found)
    same = data == wanted["data"]
    metadata = found["metadata"]
    if (metadata.get("labels") or {}).get(MANAGED_BY_LABEL) != MANAGED_BY:
        if same or of_installation:
            return None
        raise WorkflowConflict(
            f"the {wanted['kind']} {metadata['name']} already exists with other "
            "data and was not made by the orchestrator"
        )
    name = workflow["metadata"]["name"]
    if all(owner.get("kind") == KIND and owner.get("name") == name for owner in owners):
        # Made for this Workflow, or for an earlier one of the same name.
        if same and _owns(workflow, found):
            return None
        gone = dict.fromkeys(data.keys() - wanted["data"].keys())
        return {"metadata": {"ownerReferences": [_reference(workflow)]}, "data": {**wanted["data"], **gone}}
    if not same and of_installation:
        gone = dict.fromkeys(data.keys() - wanted["data"].keys())
        others = [owner for owner in owners if owner.get("uid") != workflow["metadata"]["uid"]]
        return {"metadata": {"ownerReferences": [*others, _reference(workflow)]}, "data": {**wanted["data"], **gone}}
    if not same:
        raise WorkflowConflict(f"the {wanted['kind']} {metadata['name']} is used by other Workflows with other data")
    return None if _owns(workflow, found) else {"metadata": {"ownerReferences": [*owners, _reference(workflow)]}}
