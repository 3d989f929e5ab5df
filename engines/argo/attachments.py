"""What goes with a Workflow: its Secrets and ConfigMaps, which it owns, so that they go when it goes.

Each step can be done again after a crash. An object of a fixed name may serve several Workflows, as long as they want
the same data; then they all own it, and it goes with the last of them. One that somebody else made is used where its
data are right, and stays.
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


class Attachments:
    """The Secrets and ConfigMaps of one namespace."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._path = f"/api/v1/namespaces/{namespace}"

    def attach(self, workflow: Json, submission: Submission) -> None:
        """Make what goes with a Workflow, as far as it is not there.

        Raises `WorkflowConflict` where a name is taken, `ManifestRejected` where the API server does not take one.
        """
        for name, values in submission.config_maps.items():
            self._make("configmaps", workflow, name, dict(values), name in submission.of_installation)
        for name, values in submission.secrets.items():
            encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
            self._make("secrets", workflow, name, encoded)

    def detach(self, workflow: Json) -> None:
        """Remove what a Workflow alone owns, and its part in what it shares."""
        for resource, names in attachments_of(workflow).items():
            for name in names if resource in RESOURCES else []:
                self._give_up(resource, workflow, str(name))

    def _make(
        self, resource: str, workflow: Json, name: str, data: Mapping[str, str], of_installation: bool = False
    ) -> None:
        kind = RESOURCES[resource]
        metadata = {"name": name, "labels": _labels(workflow), "ownerReferences": [_reference(workflow)]}
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
            raise ManifestRejected(f"the {kind} {name} cannot be made: {wrong}") from refused

    def _share(self, resource: str, workflow: Json, wanted: Json, of_installation: bool) -> None:
        """Make a Workflow an owner of what has the wanted name, or find that it cannot be."""
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
        """Patch an object, or delete it for want of a patch; return whether it was still as it was found."""
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
    """Return the patch by which a Workflow comes to own an object that was there, or None where it needs none.

    One `of_installation` is used as whoever made it has it; where that was us, the latest Workflow says what it holds.
    Raises `WorkflowConflict` where the object holds other data for somebody else.
    """
    data, owners = found.get("data") or {}, _owners(found)
    same = data == wanted["data"]
    metadata = found["metadata"]
    if (metadata.get("labels") or {}).get(MANAGED_BY_LABEL) != MANAGED_BY:
        if same or of_installation:
            return None
        raise WorkflowConflict(
            f"the {wanted['kind']} {metadata['name']} exists with other data and is not the orchestrator's"
        )
    name = workflow["metadata"]["name"]
    if all(owner.get("kind") == KIND and owner.get("name") == name for owner in owners):
        # Made for this Workflow, or for an earlier one of its name.
        if same and _owns(workflow, found):
            return None
        gone = dict.fromkeys(data.keys() - wanted["data"].keys())
        return {"metadata": {"ownerReferences": [_reference(workflow)]}, "data": {**wanted["data"], **gone}}
    if not same and of_installation:
        gone = dict.fromkeys(data.keys() - wanted["data"].keys())
        others = [owner for owner in owners if owner.get("uid") != workflow["metadata"]["uid"]]
        return {"metadata": {"ownerReferences": [*others, _reference(workflow)]}, "data": {**wanted["data"], **gone}}
    if not same:
        raise WorkflowConflict(f"the {wanted['kind']} {metadata['name']} serves other Workflows with other data")
    return None if _owns(workflow, found) else {"metadata": {"ownerReferences": [*owners, _reference(workflow)]}}
