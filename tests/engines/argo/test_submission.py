"""What is created for a submission, at a real API server, and what becomes of it when something is in the way."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from engines.argo.engine import ArgoEngine
from engines.argo.options import PREPARING, Options
from engines.argo.workflows import INSTANCE_LABEL, to_send
from engines.base import (
    DIGEST_ANNOTATION,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    EngineUnavailable,
    ManifestRejected,
    StopStrategy,
    Submission,
    WorkflowConflict,
    WorkflowNotFound,
    WorkflowPhase,
)
from executions.fetched_parameters import excesses
from tests.engines.contract import manifest
from tests.executions.test_fetched_parameters import cohort, rendered
from tests.executions.test_rendering import SHIPPED
from tests.services.api import Api
from tests.services.kubernetes import WORKFLOWS, ApiServer

pytestmark = pytest.mark.kubernetes
MakeArgo = Callable[..., ArgoEngine]
WITH_BOTH = Submission("wf", manifest("wf", "true"), {"wf-variables": {"a": "1"}}, {"wf-token": {"token": "secret"}})


class Namespace:
    """What is in a namespace, as an administrator sees it."""

    def __init__(self, api: Api, name: str) -> None:
        self.api = api
        self.core = f"/api/v1/namespaces/{name}"
        self.workflows = WORKFLOWS.format(namespace=name)

    def workflow(self, name: str = "wf") -> dict[str, Any]:
        return self.api.get(f"{self.workflows}/{name}")

    def config_map(self, name: str) -> dict[str, Any]:
        return self.api.get(f"{self.core}/configmaps/{name}")

    def add_config_map(self, name: str, data: dict[str, str], **metadata: Any) -> None:
        self.api.post(f"{self.core}/configmaps", {"metadata": {"name": name, **metadata}, "data": data})

    def names(self) -> list[str]:
        """Return everything that there is."""
        paths = (self.workflows, f"{self.core}/secrets", f"{self.core}/configmaps")
        return sorted(item["metadata"]["name"] for path in paths for item in self.api.list(path))

    def owners(self, kind: str, name: str) -> list[str]:
        found = self.api.get(f"{self.core}/{kind}/{name}")
        return [owner["name"] for owner in found["metadata"].get("ownerReferences", [])]


@pytest.fixture
def place(api_server: ApiServer, namespace: str) -> Namespace:
    return Namespace(api_server.api, namespace)


def test_a_federated_training_of_100_000_patients_is_stored_whole(argo: ArgoEngine, place: Namespace) -> None:
    flow = "training-from-scratch-federated-learning"
    result = rendered(cohort(flow, 100_000), SHIPPED[flow])

    argo.submit(Submission(result.name, result.manifest, result.config_maps))

    stored = place.workflow(result.name)["spec"]
    assert stored["arguments"] == result.manifest["spec"]["arguments"]
    assert not list(excesses(stored))


def test_the_object_carries_our_marks_and_the_manifests_own(argo: ArgoEngine, place: Namespace) -> None:
    wanted = manifest("other", "true")
    wanted["metadata"] = {
        "generateName": "x-",
        "namespace": "elsewhere",
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
    }

    status = argo.submit(Submission("wf", wanted))

    metadata = place.workflow()["metadata"]
    assert metadata["labels"] == {"a": "b", MANAGED_BY_LABEL: MANAGED_BY}
    assert metadata["annotations"] == {"c": "d", DIGEST_ANNOTATION: Submission("wf", wanted).digest}
    assert "generateName" not in metadata
    assert status.phase is WorkflowPhase.PENDING
    assert INSTANCE_LABEL not in metadata["labels"]


def test_what_goes_with_a_workflow_is_owned_by_it(argo: ArgoEngine, place: Namespace) -> None:
    argo.submit(WITH_BOTH)

    secret = place.api.get(f"{place.core}/secrets/wf-token")
    assert base64.b64decode(secret["data"]["token"]) == b"secret"
    assert place.config_map("wf-variables")["data"] == {"a": "1"}
    workflow = place.workflow()
    # Argo reads parameters from no other ConfigMaps.
    of_parameters = {"workflows.argoproj.io/configmap-type": "Parameter"}
    for found, more in ((secret, {}), (place.config_map("wf-variables"), of_parameters)):
        assert [owner["uid"] for owner in found["metadata"]["ownerReferences"]] == [workflow["metadata"]["uid"]]
        assert found["metadata"]["labels"] == {MANAGED_BY_LABEL: MANAGED_BY, "orchestrator/workflow": "wf", **more}
    assert INSTANCE_LABEL not in workflow["metadata"]["labels"]
    assert "secret" not in str(workflow["spec"])


def test_deleting_takes_along_what_went_with_it(argo: ArgoEngine, place: Namespace) -> None:
    argo.submit(WITH_BOTH)

    argo.delete("wf")

    assert place.names() == []


@pytest.mark.parametrize("made", [[], ["wf-variables"], ["wf-variables", "wf-token"]])
def test_a_submission_that_was_broken_off_is_finished(argo: ArgoEngine, place: Namespace, made: list[str]) -> None:
    started = place.api.post(place.workflows, to_send(WITH_BOTH, Options()))
    owner = {key: started[key] for key in ("apiVersion", "kind")} | {
        key: started["metadata"][key] for key in ("name", "uid")
    }
    labels = {MANAGED_BY_LABEL: MANAGED_BY}
    if "wf-variables" in made:
        place.add_config_map("wf-variables", {"a": "1"}, ownerReferences=[owner], labels=labels)
    if "wf-token" in made:
        metadata = {"name": "wf-token", "ownerReferences": [owner], "labels": labels}
        place.api.post(f"{place.core}/secrets", {"metadata": metadata, "data": {"token": "b2xkZXI="}})

    assert started["metadata"]["labels"][INSTANCE_LABEL] == PREPARING

    status = argo.submit(WITH_BOTH)

    assert status.uid == started["metadata"]["uid"]
    assert place.names() == ["wf", "wf-token", "wf-variables"]
    assert place.api.get(f"{place.core}/secrets/wf-token")["data"] == {"token": base64.b64encode(b"secret").decode()}
    assert INSTANCE_LABEL not in place.workflow()["metadata"]["labels"]


def test_nobody_hears_of_what_is_half_submitted(argo: ArgoEngine, place: Namespace) -> None:
    place.api.post(place.workflows, to_send(WITH_BOTH, Options()))

    assert list(argo.list()) == []
    assert list(argo.watch(timeout_seconds=0.1)) == []
    with pytest.raises(WorkflowNotFound):
        argo.get("wf")


@pytest.mark.parametrize("instance_id", ["", "one"])
def test_what_is_half_submitted_can_be_stopped(make_argo: MakeArgo, place: Namespace, instance_id: str) -> None:
    argo = make_argo(instance_id=instance_id)
    place.api.post(place.workflows, to_send(WITH_BOTH, argo.settings))

    argo.stop("wf", StopStrategy.STOP)

    workflow = place.workflow()
    # An exit handler would wait for ever for a Secret that does not come.
    assert workflow["spec"]["shutdown"] == "Terminate"
    assert workflow["metadata"]["labels"].get(INSTANCE_LABEL, "") == instance_id
    assert [status.name for status in argo.list()] == ["wf"]


def test_a_half_submitted_workflow_can_be_deleted(argo: ArgoEngine, place: Namespace) -> None:
    place.api.post(place.workflows, to_send(WITH_BOTH, Options()))

    argo.delete("wf")

    assert place.names() == []


def test_a_finished_submission_is_not_let_go_again(argo: ArgoEngine, place: Namespace) -> None:
    argo.submit(WITH_BOTH)
    before = place.workflow()["metadata"]["resourceVersion"]

    argo.submit(WITH_BOTH)

    assert place.workflow()["metadata"]["resourceVersion"] == before


def test_a_manifest_that_is_suspended_itself_stays_so(argo: ArgoEngine, place: Namespace) -> None:
    argo.submit(replace(WITH_BOTH, manifest=manifest("wf", "true", suspend=True)))
    assert place.workflow()["spec"]["suspend"] is True

    argo.resume("wf")

    assert "suspend" not in place.workflow()["spec"]


def test_somebody_elses_workflow_of_the_name_conflicts(argo: ArgoEngine, place: Namespace) -> None:
    place.api.post(place.workflows, {**manifest("wf", "true"), "metadata": {"name": "wf"}})

    with pytest.raises(WorkflowConflict, match="not the orchestrator's"):
        argo.submit(WITH_BOTH)

    argo.delete("wf")
    assert place.names() == ["wf"]
    with pytest.raises(WorkflowNotFound):
        argo.stop("wf")


def test_our_own_of_another_manifest_conflicts(argo: ArgoEngine) -> None:
    argo.submit(Submission("wf", manifest("wf", "true")))

    with pytest.raises(WorkflowConflict, match="another manifest"):
        argo.submit(Submission("wf", manifest("wf", "false")))


def test_a_config_map_with_other_data_fails_the_submission_and_leaves_nothing(
    argo: ArgoEngine, place: Namespace
) -> None:
    place.add_config_map("wf-variables", {"a": "2"})

    with pytest.raises(WorkflowConflict, match="wf-variables already exists with other data"):
        argo.submit(WITH_BOTH)

    assert place.names() == ["wf-variables"]


def test_a_config_map_that_an_operator_made_is_used_and_stays(argo: ArgoEngine, place: Namespace) -> None:
    place.add_config_map("wf-variables", {"a": "1"})

    argo.submit(WITH_BOTH)
    argo.delete("wf")

    assert place.names() == ["wf-variables"]


def test_a_config_map_of_a_fixed_name_is_shared(argo: ArgoEngine, place: Namespace) -> None:
    for name in ("wf-1", "wf-2"):
        argo.submit(Submission(name, manifest(name, "true"), {"variables": {"a": "1"}}))
    assert place.owners("configmaps", "variables") == ["wf-1", "wf-2"]

    argo.delete("wf-1")
    assert place.owners("configmaps", "variables") == ["wf-2"]
    argo.delete("wf-2")
    assert place.names() == []


def test_a_shared_config_map_is_not_changed_under_its_owners(argo: ArgoEngine, place: Namespace) -> None:
    argo.submit(Submission("wf-1", manifest("wf-1", "true"), {"variables": {"a": "1"}}))

    with pytest.raises(WorkflowConflict, match="is used by other Workflows"):
        argo.submit(Submission("wf-2", manifest("wf-2", "true"), {"variables": {"a": "2"}}))

    assert place.names() == ["variables", "wf-1"]
    assert place.config_map("variables")["data"] == {"a": "1"}


def installed(name: str, value: str) -> Submission:
    of_installation = frozenset(["managers"])
    return Submission(name, manifest(name, "true"), {"managers": {"a": value}}, of_installation=of_installation)


def test_a_config_map_of_the_installation_is_used_whatever_it_holds(argo: ArgoEngine, place: Namespace) -> None:
    place.add_config_map("managers", {"a": "2"})

    argo.submit(installed("wf", "1"))
    assert place.config_map("managers")["data"] == {"a": "2"}
    argo.delete("wf")

    assert place.names() == ["managers"]


def test_what_we_provide_for_the_installation_is_renewed(argo: ArgoEngine, place: Namespace) -> None:
    argo.submit(installed("wf-1", "1"))
    argo.submit(installed("wf-2", "2"))

    assert place.config_map("managers")["data"] == {"a": "2"}
    assert place.owners("configmaps", "managers") == ["wf-1", "wf-2"]


def test_what_an_earlier_workflow_of_the_name_left_is_taken_over(argo: ArgoEngine, place: Namespace) -> None:
    argo.submit(WITH_BOTH)
    place.api.delete(f"{place.workflows}/wf")

    argo.submit(replace(WITH_BOTH, config_maps={"wf-variables": {"b": "2"}}))

    assert place.config_map("wf-variables")["data"] == {"b": "2"}
    uid = place.workflow()["metadata"]["uid"]
    (owner,) = place.config_map("wf-variables")["metadata"]["ownerReferences"]
    assert owner["uid"] == uid


def test_a_config_map_that_the_server_does_not_take_rejects_the_manifest(argo: ArgoEngine, place: Namespace) -> None:
    with pytest.raises(ManifestRejected, match="the ConfigMap Not_a_name cannot be created"):
        argo.submit(replace(WITH_BOTH, config_maps={"Not_a_name": {"a": "1"}}))

    assert place.names() == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"metadata": {"labels": {"a": "not a label!"}}}, "/metadata/labels"),
        ({"metadata": {"annotations": {"not a name": "x"}}}, "/metadata/annotations"),
        ({"apiVersion": "v1"}, "/apiVersion"),
        ({"kind": "CronWorkflow"}, "/kind"),
        ({"spec": {}}, "/spec"),
        ({"metadata": {"labels": ["a"]}}, "/metadata/labels"),
    ],
)
def test_what_is_wrong_with_a_manifest_is_pointed_at(argo: ArgoEngine, change: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ManifestRejected) as refusal:
        argo.submit(Submission("wf", {**manifest("wf", "true"), **change}))

    assert refusal.value.pointer == pointer


def test_a_manifest_larger_than_the_cluster_takes_is_rejected(argo: ArgoEngine) -> None:
    with pytest.raises(ManifestRejected):
        argo.submit(Submission("wf", manifest("wf", "x" * 4_000_000)))


@pytest.mark.parametrize("account", ["", "its-own"])
def test_a_service_account_is_set_where_the_manifest_has_none(
    make_argo: MakeArgo, place: Namespace, account: str
) -> None:
    spec = {"serviceAccountName": account} if account else {}

    make_argo(service_account="argo-workflow").submit(Submission("wf", manifest("wf", "true", **spec)))

    assert place.workflow()["spec"]["serviceAccountName"] == (account or "argo-workflow")


def test_orchestrators_with_instance_ids_do_not_see_each_other(make_argo: MakeArgo, place: Namespace) -> None:
    make_argo(instance_id="one").submit(Submission("wf", manifest("wf", "true")))

    assert place.workflow()["metadata"]["labels"][INSTANCE_LABEL] == "one"
    assert [status.name for status in make_argo(instance_id="one").list()] == ["wf"]
    assert list(make_argo(instance_id="two").list()) == []


@pytest.mark.parametrize("instance_id", ["", "one"])
def test_the_configuration_says_which_controller_runs_it(
    make_argo: MakeArgo, place: Namespace, instance_id: str
) -> None:
    manifests_own = manifest("wf", "true")
    manifests_own["metadata"]["labels"][INSTANCE_LABEL] = "somebody"

    status = make_argo(instance_id=instance_id).submit(replace(WITH_BOTH, manifest=manifests_own))

    assert place.workflow()["metadata"]["labels"].get(INSTANCE_LABEL, "") == instance_id
    assert status.digest == replace(WITH_BOTH, manifest=manifests_own).digest


def test_a_missing_namespace_is_said_and_may_come(make_argo: MakeArgo) -> None:
    with pytest.raises(EngineUnavailable, match='namespaces "nowhere" not found'):
        make_argo(namespace="nowhere").submit(Submission("wf", manifest("wf", "true")))


def test_resuming_goes_on_from_suspend_nodes(argo: ArgoEngine, place: Namespace) -> None:
    argo.submit(Submission("wf", manifest("wf", "true")))
    nodes = {
        "wf-1": {"id": "wf-1", "type": "Suspend", "phase": "Running"},
        "wf-2": {"id": "wf-2", "type": "Pod", "phase": "Running"},
    }
    place.api.patch(f"{place.workflows}/wf", {"status": {"phase": "Running", "nodes": nodes}})

    argo.resume("wf")

    phases = {key: node["phase"] for key, node in argo.get("wf").nodes.items()}
    assert phases == {"wf-1": "Succeeded", "wf-2": "Running"}


def test_ending_what_has_ended_changes_nothing(argo: ArgoEngine, place: Namespace) -> None:
    argo.submit(Submission("wf", manifest("wf", "true")))
    place.api.patch(f"{place.workflows}/wf", {"status": {"phase": "Succeeded"}})

    argo.stop("wf")

    assert "shutdown" not in place.workflow()["spec"]
