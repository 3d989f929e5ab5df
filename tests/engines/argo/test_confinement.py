"""What restricted pods may not have is found wherever it stands, and what they must say is said for them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from engines.argo.confinement import excesses, labelled, restricted
from engines.argo.options import Options
from engines.argo.workflows import to_send
from engines.base import FEDERATED_ANNOTATION, ManifestRejected, Submission

SAFE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def workflow(template: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    templates = [{"name": "main", "container": {"image": "busybox"}, **(template or {})}]
    return {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "wf"},
        "spec": {"entrypoint": "main", "templates": templates, **spec},
    }  # fmt: skip


def container(**fields: Any) -> dict[str, Any]:
    return {"container": {"image": "busybox", **fields}}


def context(**fields: Any) -> dict[str, Any]:
    return container(securityContext=fields)


@pytest.mark.parametrize(
    ("manifest", "pointer"),
    [
        (workflow(hostNetwork=True), "/spec/hostNetwork"),
        (workflow(volumes=[{"name": "a", "emptyDir": {}}, {"name": "b", "hostPath": {"path": "/"}}]),
         "/spec/volumes/1/hostPath"),
        (workflow({"volumes": [{"name": "b", "nfs": {}}]}), "/spec/templates/0/volumes/0/nfs"),
        (workflow(container(ports=[{"containerPort": 80, "hostPort": 80}])),
         "/spec/templates/0/container/ports/0/hostPort"),
        (workflow(context(runAsUser=0)), "/spec/templates/0/container/securityContext/runAsUser"),
        (workflow(context(runAsUser="{{workflow.parameters.id}}")),
         "/spec/templates/0/container/securityContext/runAsUser"),
        (workflow(context(privileged=True)), "/spec/templates/0/container/securityContext/privileged"),
        (workflow(context(capabilities={"add": ["SYS_ADMIN"]})),
         "/spec/templates/0/container/securityContext/capabilities"),
        (workflow(context(seccompProfile={"type": "Unconfined"})),
         "/spec/templates/0/container/securityContext/seccompProfile"),
        (workflow(context(runAsNonRoot=False)), "/spec/templates/0/container/securityContext/runAsNonRoot"),
        (workflow(securityContext={"sysctls": [{"name": "kernel.shm", "value": "1"}]}),
         "/spec/securityContext/sysctls"),
        (workflow({"steps": [[{"name": "a", "inline": context(procMount="Unmasked")}]]}),
         "/spec/templates/0/steps/0/0/inline/container/securityContext/procMount"),
    ],
)  # fmt: skip
def test_what_restricted_pods_may_not_have_is_pointed_at(manifest: dict[str, Any], pointer: str) -> None:
    assert [where for where, _ in excesses(manifest)] == [pointer]
    with pytest.raises(ManifestRejected, match="ARGO_PRIVILEGED_NAMESPACE") as refusal:
        to_send(Submission("wf", manifest), Options())
    assert refusal.value.pointer == pointer


@pytest.mark.parametrize(
    "manifest",
    [
        workflow(volumes=[{"name": "a", "emptyDir": {}}, {"name": "b", "configMap": {"name": "x"}}]),
        workflow(volumes=[{"name": "a", "persistentVolumeClaim": {"claimName": "x", "readOnly": True}}]),
        workflow(context(runAsUser=1000, runAsNonRoot=True, readOnlyRootFilesystem=True)),
        workflow(context(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]})),
        workflow(hostNetwork=False),
        # Words of anybody, not fields.
        workflow({"nodeSelector": {"hostNetwork": "yes"}}),
    ],
)
def test_what_they_may_have_is_left_alone(manifest: dict[str, Any]) -> None:
    assert list(excesses(manifest)) == []


@pytest.mark.parametrize("patterns", [["old-engine:*"], ["registry.example/old-*"]])
def test_an_image_that_is_known_to_be_root_is_found_behind_its_parameters(patterns: list[str]) -> None:
    image = "{{workflow.parameters.registry}}/{{workflow.parameters.name}}:2"
    values = [{"name": "registry", "value": "registry.example"}, {"name": "name", "value": "old-engine"}]
    manifest = workflow(container(image=image), arguments={"parameters": values})

    assert [where for where, _ in excesses(manifest, patterns)] == ["/spec/templates/0/container/image"]
    assert list(excesses(manifest)) == []


def test_every_container_says_what_the_profile_wants_to_hear() -> None:
    one = {"name": "one", "image": "busybox"}
    spec = {
        "templateDefaults": {"container": one},
        "templates": [
            {"container": one, "initContainers": [one], "sidecars": [one]},
            {"script": one},
            {"containerSet": {"containers": [one, one]}},
            {"steps": [[{"name": "a", "inline": {"container": one}}]]},
            {"dag": {"tasks": [{"name": "a", "inline": {"container": one}}]}},
        ],
    }
    before = copy.deepcopy(spec)

    found = restricted(spec)

    assert str(found).count("allowPrivilegeEscalation") == str(spec).count("busybox") == 9
    assert found["templates"][3]["steps"][0][0]["inline"]["container"]["securityContext"] == SAFE
    assert spec == before


def test_what_a_container_says_itself_stays() -> None:
    own = {"runAsUser": 1000, "capabilities": {"add": ["NET_BIND_SERVICE"]}, "seccompProfile": {"type": "Localhost"}}

    found = restricted({"templates": [context(**own)]})["templates"][0]["container"]["securityContext"]

    assert found == {**SAFE, **own, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}


def test_pods_say_whose_data_they_are_placed_beside() -> None:
    manifest = workflow({"nodeSelector": {"dataPartner": "{{inputs.parameters.partner}}"}})

    (template,) = labelled(manifest)["templates"]

    assert template["metadata"]["labels"] == {"orchestrator/data-partner": "{{inputs.parameters.partner}}"}
    assert "podMetadata" not in labelled(manifest)


def test_pods_that_train_together_say_so() -> None:
    manifest = workflow()
    manifest["metadata"]["annotations"] = {FEDERATED_ANNOTATION: "1"}

    assert labelled(manifest)["podMetadata"]["labels"] == {"orchestrator/federated": "true"}


@pytest.mark.parametrize(
    ("own", "defaults", "of_workflow", "partner"),
    [
        ({}, {}, {"dataPartner": "a"}, "a"),
        ({}, {"dataPartner": "b"}, {"dataPartner": "a"}, "b"),
        ({"dataPartner": "c"}, {"dataPartner": "b"}, {"dataPartner": "a"}, "c"),
        # Placed elsewhere, so it is not that partner's.
        ({"nodeType": "central"}, {}, {"dataPartner": "a"}, None),
    ],
)
def test_the_selector_that_places_a_pod_is_the_one_that_labels_it(
    own: dict[str, str], defaults: dict[str, str], of_workflow: dict[str, str], partner: str | None
) -> None:
    manifest = workflow({"nodeSelector": own}, nodeSelector=of_workflow, templateDefaults={"nodeSelector": defaults})

    (template,) = labelled(manifest)["templates"]

    assert template.get("metadata", {}).get("labels", {}).get("orchestrator/data-partner") == partner


@pytest.mark.parametrize(
    "forged",
    [
        {"labels": {"orchestrator/data-partner": "b", "orchestrator/federated": "true", "mine": "stays"}},
        {"labels": {"{{inputs.parameters.a}}": "b", "orchestrator/{{workflow.parameters.b}}": "b", "mine": "stays"}},
        {"labels": {"mine": "stays"}, "Labels": {"orchestrator/data-partner": "b"}},
    ],
)
def test_a_manifest_does_not_say_it_for_them(forged: dict[str, Any]) -> None:
    other = {"Metadata": forged, "PodMetadata": forged}

    spec = labelled(workflow({"metadata": forged, **other}, podMetadata=forged, **other))

    assert spec["podMetadata"] == spec["templates"][0]["metadata"] == {"labels": {"mine": "stays"}}
    assert "PodMetadata" not in spec
    assert "Metadata" not in spec["templates"][0]


def test_only_argos_own_containers_have_a_token_of_the_cluster() -> None:
    own = {"automountServiceAccountToken": True, "Executor": {"serviceAccountName": "admin"}}
    manifest = workflow({**own, "steps": [[{"name": "a", "inline": {"container": {"image": "x"}, **own}}]]}, **own)

    spec = to_send(Submission("wf", manifest), Options(executor_service_account="argo-executor"))["spec"]

    assert (spec["automountServiceAccountToken"], spec["executor"]) == (False, {"serviceAccountName": "argo-executor"})
    (template,) = spec["templates"]
    for each in (template, template["steps"][0][0]["inline"]):
        assert not {"automountServiceAccountToken", "executor", "Executor"} & set(each)
    assert "Executor" not in spec
    assert "executor" not in to_send(Submission("wf", workflow()), Options())["spec"]
