"""What manifests may not ask for, and the ways round that are closed."""

import json
from dataclasses import replace

import pytest

from tests.schemas.samples import DOCUMENT, OPERATORS, checked, manifest

FEDERATED = DOCUMENT | {
    "input_elements": {"platform_data": True, "external_data": False, "federated_learning_configuration": True}
}
NO_DATA = DOCUMENT | {"input_elements": dict.fromkeys(DOCUMENT["input_elements"], False)}


def refusals(text, policy=None, of=DOCUMENT):
    """Return pointer → rule of what the policy refuses; any other fault fails the test."""
    found = {}
    for fault in checked(text, policy, of).faults:
        assert fault.detail.startswith("refused by the rule "), fault
        assert fault.place is not None
        found[fault.pointer] = fault.detail.removeprefix("refused by the rule ").partition(":")[0]
    return found


def pod(extra="", container=""):
    return f"  - name: main\n{extra}    container:\n      image: x\n{container}"


@pytest.mark.parametrize(
    ("context", "rule"),
    [
        ("privileged: true", "no-privileged-containers"),
        ("privileged: yes", "no-privileged-containers"),
        ("allowPrivilegeEscalation: true", "no-privilege-escalation"),
        ("capabilities: {add: [SYS_ADMIN]}", "no-added-capabilities"),
        ("procMount: Unmasked", "no-unmasked-proc"),
        ("windowsOptions: {hostProcess: true}", "no-privileged-containers"),
    ],
)
@pytest.mark.parametrize("kind", ["container", "initContainers", "sidecars", "containerSet", "script"])
def test_containers_ask_for_no_more_than_their_own(context, rule, kind):
    one = f"{{name: a, image: x, securityContext: {{{context}}}}}"
    field = {
        "container": f"    container: {{image: x, securityContext: {{{context}}}}}\n",
        "script": f"    script: {{image: x, source: 'x', securityContext: {{{context}}}}}\n",
        "containerSet": f"    containerSet: {{containers: [{one}]}}\n",
    }.get(kind, f"    container: {{image: x}}\n    {kind}: [{one}]\n")

    assert list(refusals(manifest("  - name: main\n" + field)).values()) == [rule]


@pytest.mark.parametrize(
    "context", ["privileged: false", "allowPrivilegeEscalation: false", "capabilities: {drop: [ALL]}", "runAsUser: 1"]
)
def test_containers_may_ask_for_less(context):
    assert not refusals(manifest(pod(container=f"      securityContext: {{{context}}}\n")))


def test_service_accounts_are_those_of_the_list():
    def text(name):
        return manifest(pod(), spec=f"  serviceAccountName: {json.dumps(name)}\n")

    assert not refusals(text("argo-workflow"))
    assert refusals(text("admin")) == {"/spec/serviceAccountName": "service-accounts"}
    assert refusals(text("{{workflow.parameters.execution_id}}")) == {"/spec/serviceAccountName": "service-accounts"}
    assert not refusals(text("admin"), replace(OPERATORS, service_accounts=("admin",)))


@pytest.mark.parametrize("field", ["serviceAccountName: root", "executor: {serviceAccountName: root}"])
def test_service_accounts_of_templates_are_held_to_the_list_too(field):
    assert list(refusals(manifest(pod(f"    {field}\n"))).values()) == ["service-accounts"]


def test_the_hosts_network_is_a_setting():
    text = manifest(pod(), spec="  hostNetwork: true\n")

    assert not refusals(text, replace(OPERATORS, allow_host_network=True))
    assert refusals(text, replace(OPERATORS, allow_host_network=False)) == {"/spec/hostNetwork": "no-host-network"}


@pytest.mark.parametrize("where", ["template", "templateDefaults", "inline"])
def test_resource_templates_are_refused(where):
    resource = "{action: create, manifest: 'kind: Pod'}"
    text = {
        "template": manifest(f"  - name: main\n    resource: {resource}\n"),
        "templateDefaults": manifest(pod(), spec=f"  templateDefaults: {{resource: {resource}}}\n"),
        "inline": manifest(f"  - name: main\n    steps: [[{{name: a, inline: {{resource: {resource}}}}}]]\n"),
    }[where]

    assert list(refusals(text).values()) == ["no-resource-templates"]


def test_templates_of_elsewhere_are_refused():
    steps = "  - name: main\n    steps: [[{name: a, templateRef: {name: x, template: y, clusterScope: true}}]]\n"

    assert list(refusals(manifest(steps)).values()) == ["no-outside-templates"]
    assert list(refusals(manifest(pod(), spec="  workflowTemplateRef: {name: x}\n")).values()) == [
        "no-outside-templates"
    ]


PARTNER = "{{workflow.parameters.execution_dataPartnerDataPath}}"


def volume(path):
    return f"    volumes: [{{name: v, hostPath: {{path: {json.dumps(path)}}}}}]\n"


@pytest.mark.parametrize("path", [PARTNER, "{{ workflow.parameters.execution_dataPartnerDataPath }}"])
def test_the_partners_path_may_be_mounted(path):
    assert not refusals(manifest(pod(volume(path))))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/etc",
        "",
        f"{PARTNER}/../..",
        f"{PARTNER}etc",
        f"/{PARTNER}",
        "{{workflow.parameters.execution_id}}",
        "{{workflow.parameters.execution_outputAIModelName}}",
        "{{=workflow.parameters.execution_dataPartnerDataPath}}",
        "{{workflow.name}}",
    ],
)
def test_nothing_else_of_the_host_may_be_mounted(path):
    assert refusals(manifest(pod(volume(path)))) == {"/spec/templates/0/volumes/0/hostPath/path": "host-path"}


def test_a_path_in_the_workflows_own_volumes_is_held_to_the_rule():
    spec = "  volumes: [{name: v, hostPath: {path: /etc}}]\n"

    assert refusals(manifest(pod(), spec=spec)) == {"/spec/volumes/0/hostPath/path": "host-path"}


def test_a_manifest_cannot_declare_the_partners_path_itself():
    declared = "  arguments: {parameters: [{name: execution_dataPartnerDataPath, value: /etc}]}\n"
    text = manifest(pod(volume(PARTNER)), spec=declared)

    assert not refusals(text)  # The orchestrator's value wins.
    assert list(refusals(text, of=NO_DATA).values()) == ["host-path"]


CALLED = """\
  - name: main
    steps: [[{name: a, template: worker, arguments: {parameters: [{name: path, value: "VALUE"}]}, EXTRA}]]
  - name: worker
    inputs: {parameters: [{name: path}]}
    volumes: [{name: v, hostPath: {path: "{{inputs.parameters.path}}"}}]
    container: {image: x}
"""


def called(value, extra="when: 'true'"):
    return manifest(CALLED.replace("VALUE", value).replace("EXTRA", extra))


ITEM = "{{item.data_path}}"
LIST = "{{workflow.parameters.execution_dataPartnerPatientsList}}"


def test_an_input_may_carry_the_partners_path():
    assert not refusals(called(PARTNER))


def test_an_item_of_the_partners_list_may_carry_it():
    assert not refusals(called(ITEM, f'withParam: "{LIST}"'), of=FEDERATED)


@pytest.mark.parametrize(
    ("value", "extra"),
    [
        ("/etc", "when: 'true'"),
        ("{{workflow.parameters.execution_id}}", "when: 'true'"),
        (ITEM, "withItems: [{data_path: /etc}]"),
        (ITEM, 'withParam: \'[{"data_path": "/etc"}]\''),
        ("{{item}}", f'withParam: "{LIST}"'),
        ("{{item.data_partner}}", f'withParam: "{LIST}"'),
        ("{{inputs.parameters.path}}", "when: 'true'"),
    ],
)
def test_an_input_may_carry_no_other_path(value, extra):
    found = checked(called(value, extra), of=FEDERATED).faults

    assert any(fault.detail.startswith("refused by the rule host-path") for fault in found)


def test_every_caller_of_a_template_counts():
    step = "{name: b, template: worker, arguments: {parameters: [{name: path, value: /}]}}"
    other = f"  - name: other\n    steps: [[{step}]]\n"

    assert list(refusals(called(PARTNER) + other).values()) == ["host-path"]


def test_an_input_by_name_only_takes_the_partners_path():
    template = "    inputs: {parameters: [{name: execution_dataPartnerDataPath}]}\n"
    path = "{{inputs.parameters.execution_dataPartnerDataPath}}"

    assert not refusals(manifest(pod(template + volume(path))))


def test_an_inputs_default_counts():
    template = "    inputs: {parameters: [{name: path, default: /etc}]}\n"

    assert list(refusals(manifest(pod(template + volume("{{inputs.parameters.path}}")))).values()) == ["host-path"]


def patch(value):
    return manifest(pod(f"    podSpecPatch: {json.dumps(value if isinstance(value, str) else json.dumps(value))}\n"))


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({"containers": [{"name": "main", "securityContext": {"privileged": True}}]}, "no-privileged-containers"),
        ("containers:\n- name: main\n  securityContext: {privileged: yes}\n", "no-privileged-containers"),
        ({"hostPID": True}, "no-host-pid"),
        ({"hostIPC": True}, "no-host-ipc"),
        ({"serviceAccountName": "root"}, "service-accounts"),
        ({"serviceAccount": "root"}, "service-accounts"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "host-path"),
        ({"volumes": [{"name": "v", "hostPath": {"path": PARTNER}}]}, "host-path"),
        ('{"privileged": {{workflow.parameters.execution_id}}}', "allowed-fields"),
        ("{{workflow.parameters.execution_id}}", "pod-spec-patch"),
        ('{"a": "{{workflow.name}}"}', "pod-spec-patch"),
        ('{"a": "{{workflow.parameters.execution_outputAIModelDescription}}"}', "pod-spec-patch"),
        ("{a", "pod-spec-patch"),
        ("[]", "pod-spec-patch"),
        ("a: &a [*a]", "pod-spec-patch"),
    ],
)
def test_a_patch_is_held_to_the_same_rules(value, rule):
    assert refusals(patch(value)) == {"/spec/templates/0/podSpecPatch": rule}


def test_the_hosts_network_in_a_patch_is_the_same_setting():
    assert not refusals(patch({"hostNetwork": True}))
    assert list(refusals(patch({"hostNetwork": True}), replace(OPERATORS, allow_host_network=False)).values()) == [
        "no-host-network"
    ]


def test_a_patch_may_take_resources_from_the_registry():
    memory = "{{workflow.parameters.execution_main-ai-engine-container-version-memory-request}}"

    assert not refusals(patch({"containers": [{"name": "main", "resources": {"requests": {"memory": memory}}}]}))


@pytest.mark.parametrize(
    ("value", "is_refused"),
    [("1Gi", False), ('1Gi"}}}], "hostPID": true, "x": [{"y": {"z": {"q": "', True)],
)
def test_what_an_input_brings_into_a_patch_counts(value, is_refused):
    patch_text = json.dumps(
        '{"containers": [{"name": "main", "resources": {"limits": {"memory": "{{inputs.parameters.m}}"}}}]}'
    )
    inputs = f"    inputs: {{parameters: [{{name: m, value: {json.dumps(value)}}}]}}\n"

    assert bool(refusals(manifest(pod(f"{inputs}    podSpecPatch: {patch_text}\n")))) is is_refused


def test_words_of_labels_are_no_fields():
    assert not refusals(manifest(pod("    metadata: {labels: {hostPID: 'true', serviceAccountName: me}}\n")))


def test_a_refusal_names_the_line():
    (fault,) = checked(manifest(pod(), spec="  serviceAccountName: root\n")).faults

    assert (fault.place.line, fault.place.column) == (6, 3)
    assert fault.detail == (
        "refused by the rule service-accounts: root is not an allowed service account; allowed: argo-workflow"
    )


def test_a_web_of_calls_is_followed_once():
    templates = [
        "  - name: main\n    steps: [[{name: a, template: t0, arguments: {parameters: [{name: p, value: /}]}}]]\n"
    ]
    for i in range(60):
        call = f"template: t{i + 1}, arguments: {{parameters: [{{name: p, value: '{{{{inputs.parameters.p}}}}'}}]}}"
        templates.append(
            f"  - name: t{i}\n    inputs: {{parameters: [{{name: p}}]}}\n"
            f"    steps: [[{{name: a, {call}}}, {{name: b, {call}}}]]\n"
        )
    templates.append(
        "  - name: t60\n    inputs: {parameters: [{name: p}]}\n    container: {image: x}\n"
        "    volumes: [{name: v, hostPath: {path: '{{inputs.parameters.p}}'}}]\n"
    )

    assert refusals(manifest("".join(templates))) == {"/spec/templates/61/volumes/0/hostPath/path": "host-path"}


def test_a_template_that_calls_itself_ends():
    text = called(PARTNER).replace(
        "    container: {image: x}\n",
        "    container: {image: x}\n"
        "    steps: [[{name: again, template: worker, "
        "arguments: {parameters: [{name: path, value: '{{inputs.parameters.path}}'}]}}]]\n",
    )

    assert not refusals(text)


def test_a_list_from_an_input_is_followed_to_its_origin():
    def text(source):
        return manifest(
            "  - name: main\n"
            f"    steps: [[{{name: a, template: fan, arguments: {{parameters: [{{name: l, value: {source}}}]}}}}]]\n"
            "  - name: fan\n    inputs: {parameters: [{name: l}]}\n    steps:\n    - - name: b\n"
            "        template: worker\n        withParam: '{{inputs.parameters.l}}'\n"
            "        arguments: {parameters: [{name: path, value: '{{item.data_path}}'}]}\n"
            "  - name: worker\n    inputs: {parameters: [{name: path}]}\n    container: {image: x}\n"
            "    volumes: [{name: v, hostPath: {path: '{{inputs.parameters.path}}'}}]\n"
        )

    assert not refusals(text(f"'{LIST}'"), of=FEDERATED)
    assert list(refusals(text("'[]'"), of=FEDERATED).values()) == ["host-path"]


def test_an_input_that_is_its_own_default_ends():
    text = called(PARTNER).replace("{name: path}]", "{name: path, default: '{{inputs.parameters.path}}'}]")

    assert list(refusals(text.replace(f'{{name: path, value: "{PARTNER}"}}', "")).values()) == ["host-path"]
