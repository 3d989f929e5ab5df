"""Manifests that ask for what is not theirs: each is refused at upload, by its place and by the rule."""

import json
from dataclasses import replace

import pytest
import yaml

from policy.check import judge
from policy.rules import Grant
from tests.attacks.hostile_manifests import HOSTILE, OTHER, C, T, V, volume, workflow
from tests.schemas.samples import DOCUMENT, OPERATORS, checked, form, part

LIST = "{{workflow.parameters.execution_dataPartnerPatientsList}}"
FEDERATED = DOCUMENT | {
    "input_elements": {"platform_data": True, "external_data": False, "federated_learning_configuration": True}
}
POLICY = replace(OPERATORS, allow_host_network=False)


def refused(manifest, of=DOCUMENT, policy=POLICY):
    """Return pointer → rule of what is refused at upload, "shape" for what no Workflow has."""
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    found = {}
    for fault in checked(text, policy, of).faults:
        assert fault.place is not None, fault
        rule = fault.detail.removeprefix("refused by the rule ").partition(":")[0]
        is_of_policy = fault.detail.startswith("refused by the rule ")
        if is_of_policy or fault.pointer not in found:
            found[fault.pointer] = rule if is_of_policy else "shape"
    return found


@pytest.mark.parametrize(("manifest", "pointer", "rule"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_manifest_is_refused_by_its_place(manifest, pointer, rule):
    assert refused(manifest).get(pointer) == rule


@pytest.mark.parametrize(("manifest", "pointer", "rule"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_workflow_is_refused_as_rendered(manifest, pointer, rule):
    found = {fault.pointer: fault.detail for fault in judge(manifest, POLICY, Grant()).faults}

    assert found[pointer].startswith(f"refused by the rule {rule}: ")


def is_of_a_template(manifest, pointer):
    return pointer.startswith(f"{T}/") and pointer != f"{T}/name" and "steps" not in manifest["spec"]["templates"][0]


WITHIN = {name: case for name, case in HOSTILE.items() if is_of_a_template(*case[:2])}


@pytest.mark.parametrize(("manifest", "pointer", "rule"), WITHIN.values(), ids=WITHIN)
def test_templates_within_steps_are_no_way_round(manifest, pointer, rule):
    template = {key: value for key, value in manifest["spec"]["templates"][0].items() if key != "name"}
    outer = {"name": "outer", "dag": {"tasks": [{"name": "a", "inline": template}]}}
    wrapped = {**manifest, "spec": {"entrypoint": "outer", "templates": [outer]}}

    assert refused(wrapped).get(pointer.replace(T, f"{T}/dag/tasks/0/inline", 1)) == rule


def test_the_manifest_without_the_attack_is_taken():
    assert refused(workflow()) == {}


@pytest.mark.parametrize("new", ["HostNetwork", "hostnetwork", "hostNetwork\u200b", "h\u043estNetwork"])
def test_oddly_written_fields_are_refused(new):
    text = json.dumps(workflow(spec={"hostNetwork": True}), ensure_ascii=False).replace("hostNetwork", new)
    allowing = replace(POLICY, allow_host_network=True)

    assert list(refused(text, policy=allowing)) == [f"/spec/{new}"]


def test_anchors_bring_nothing_past_the_table():
    text = yaml.safe_dump(workflow()).replace(
        "container:\n", "container:\n      securityContext: &x {privileged: true}\n"
    )
    merged = text.replace("&x {privileged: true}", "{<<: &y {privileged: true}}")

    assert refused(text)[f"{C}/securityContext/privileged"] == "no-privileged-containers"
    assert refused(merged)[f"{C}/securityContext/privileged"] == "no-privileged-containers"


def test_a_text_is_no_number_and_a_number_no_text():
    numbers = workflow({"securityContext": {"runAsUser": "1000"}})
    flags = workflow({"securityContext": {"runAsNonRoot": "true"}})

    assert refused(numbers) and refused(flags)


def test_a_nul_character_stands_nowhere():
    manifest = workflow({"args": ["a\0b"]})

    assert checked(json.dumps(manifest), POLICY).faults


# Another's node or path by way of steps, items and defaults

FAN = """\
  - name: main
    steps: [[{name: a, template: client, withParam: "LIST", arguments: {parameters: [
      {name: who, value: "WHO"}, {name: path, value: "{{item.data_path}}"}]}}]]
  - name: client
    inputs: {parameters: [{name: who}, {name: path}]}
    nodeSelector: {dataPartner: "{{inputs.parameters.who}}"}
    volumes: [{name: v, hostPath: {path: "{{inputs.parameters.path}}"}}]
    container: {image: busybox}
""".replace("LIST", LIST)


def fan(who):
    head = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec:\n  entrypoint: main\n  templates:\n"
    return head + FAN.replace("WHO", who)


def test_a_partners_path_is_mounted_on_its_own_node():
    assert refused(fan("{{item.data_partner}}"), of=FEDERATED) == {}


def test_a_partners_path_is_mounted_on_no_other_node():
    found = refused(fan("data-partner-2"), of=FEDERATED)

    assert found["/spec/templates/1/nodeSelector/dataPartner"] == "node-selectors"
    assert found["/spec/templates/1/volumes/0/hostPath/path"] == "host-path"


def test_a_default_of_all_templates_names_no_inputs():
    spec = {
        "templateDefaults": {"inputs": {"parameters": [{"name": "execution_dataPartnerDataPath", "value": "/etc"}]}}
    }

    assert refused(workflow(spec=spec)) == {"/spec/templateDefaults/inputs": "allowed-fields"}


# What an operator says


TOLERATIONS = [{"key": "gpu", "operator": "Exists"}]


def test_an_operator_allows_a_field_by_its_place():
    policy = replace(POLICY, allowed_fields=(("/spec/templates/*/tolerations", None),))

    assert refused(workflow(template={"tolerations": TOLERATIONS}), policy=policy) == {}
    assert refused(workflow(spec={"tolerations": TOLERATIONS}), policy=policy) == {
        "/spec/tolerations": "allowed-fields"
    }


def test_an_operator_allows_a_value_and_no_other():
    policy = replace(POLICY, allowed_fields=(("/spec/templates/*/tolerations", (json.dumps(TOLERATIONS),)),))
    everything = [{"operator": "Exists"}]

    assert refused(workflow(template={"tolerations": TOLERATIONS}), policy=policy) == {}
    assert refused(workflow(template={"tolerations": everything}), policy=policy)


def test_an_operator_allows_a_field_of_patches():
    patch = json.dumps({"runtimeClassName": "gvisor"})
    policy = replace(POLICY, allowed_fields=(("/spec/templates/*/podSpecPatch/runtimeClassName", ('"gvisor"',)),))

    assert refused(workflow(template={"podSpecPatch": patch})) == {f"{T}/podSpecPatch": "allowed-fields"}
    assert refused(workflow(template={"podSpecPatch": patch}), policy=policy) == {}
    assert refused(workflow(template={"podSpecPatch": patch.replace("gvisor", "other")}), policy=policy)


def test_listed_names_may_be_used():
    policy = replace(POLICY, secrets=(OTHER,), volume_claims=("data",), config_maps=("settings",))

    assert refused(volume(secret={"secretName": OTHER}), policy=policy) == {}
    assert refused(volume(persistentVolumeClaim={"claimName": "data"}), policy=policy) == {}
    assert refused(volume(configMap={"name": "settings"}), policy=policy) == {}


def test_the_hosts_network_is_refused_by_its_setting():
    [fault] = checked(json.dumps(workflow(spec={"hostNetwork": True})), POLICY).faults

    assert "MANIFEST_ALLOW_HOST_NETWORK" in fault.detail


@pytest.mark.django_db
def test_over_http_the_answer_points_into_the_file(api):
    text = yaml.safe_dump(volume(nfs={"server": "169.254.169.254", "path": "/"}), sort_keys=False)

    answer = api.post("/api/schemas/", form(auxiliary_file=part(text)))

    assert answer.status_code == 400
    [fault] = answer.json()["errors"]
    assert fault["pointer"] == f"/files/auxiliary_file#{V}/nfs"
    assert fault["detail"].startswith("line 13, column 7: refused by the rule volume-kinds: ")
