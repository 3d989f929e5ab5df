"""The check of a manifest as a whole: shape and references, each fault with pointer and place."""

import json
from pathlib import Path

import pytest
import yaml

from policy.faults import Place
from schemas.manifest.checked import Question
from schemas.manifest.checking import check
from templates.shipped import shipped_schemas
from tests.schemas.samples import CAPTURES, DOCUMENT, MANIFEST, OPERATORS, checked, manifest, shipped

RECORDINGS = sorted((CAPTURES.parent / "argo-recordings").glob("*.jsonl"))


def faults(text, **more):
    return {fault.pointer: fault.detail for fault in checked(text, **more).faults}


def test_a_good_manifest_comes_back_as_data():
    assert checked(MANIFEST).manifest == yaml.safe_load(MANIFEST)


@pytest.mark.parametrize("schema", shipped_schemas(), ids=lambda schema: schema.name)
def test_shipped_manifests_pass(schema):
    assert checked(schema.manifest_yaml, of=schema.document).faults == ()


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_workflows_that_argo_took_pass(path):
    spec = json.loads(path.read_text().splitlines()[0])["object"]["spec"]
    text = json.dumps({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "spec": spec})

    found = checked(text).faults

    # The last two name a node and an image that nobody allows.
    if path.stem in (
        "invalid-template-reference",
        "missing-parameter",
        "unschedulable-deadline",
        "image-missing-deadline",
    ):
        assert found
    else:
        assert not found


@pytest.mark.parametrize(
    ("old", "new", "pointer", "detail"),
    [
        ("kind: Workflow", "kind: CronWorkflow", "/kind", "must be Workflow, not CronWorkflow"),
        ("kind: Workflow", "kind: Pod", "/kind", "must be Workflow, not Pod"),
        ("kind: Workflow\n", "", "/kind", "kind is missing"),
        ("v1alpha1", "v1", "/apiVersion", "must be argoproj.io/v1alpha1"),
        ("  entrypoint", "  entrypont", "/spec/entrypont", "did you mean entrypoint?"),
        ("image: busybox", "imag: busybox", "/spec/templates/0/container/imag", "did you mean image?"),
        ("image: busybox", "image: 3", "/spec/templates/0/container/image", "image is wrong"),
        ("args: [", "args: [3, ", "/spec/templates/0/container/args/0", "args/0 is wrong"),
        ("container:", "daemon: 'true'\n    container:", "/spec/templates/0/daemon", "daemon is wrong"),
        ("entrypoint: main", "entrypoint: mian", "/spec/entrypoint", "no template named mian; did you mean main?"),
        ("entrypoint: main", "onExit: main", "/spec/entrypoint", "entrypoint is missing"),
        ("entrypoint: main", "entrypoint: main\n  onExit: bye", "/spec/onExit", "no template named bye"),
    ],
)
def test_what_is_no_workflow_is_named(old, new, pointer, detail):
    found = faults(MANIFEST.replace(old, new, 1))

    assert detail in found[pointer]


def test_another_kind_is_one_fault():
    assert len(checked("apiVersion: v1\nkind: Pod\nspec: {containers: []}\n").faults) <= 4


def test_faults_name_line_and_column_in_the_order_of_the_text():
    text = MANIFEST.replace("image: busybox", "imag: busybox").replace("  entrypoint", "  onExit: x\n  entrypoint")

    places = [fault.place for fault in checked(text).faults]

    assert places == [Place(6, 3), Place(12, 7)]


@pytest.mark.parametrize("text", ["spec: 3", "spec: []", "spec: {templates: {a: 1}}", "spec: {templates: [3, null]}"])
@pytest.mark.parametrize("entrypoint", ["a", "[a]", "{}"])
def test_any_shape_gets_an_answer(text, entrypoint):
    assert checked(f"kind: Workflow\nmetadata: [1]\nentrypoint: {entrypoint}\n{text}\n").faults


def test_metadata_may_be_left_out():
    text = MANIFEST.replace("metadata:\n  generateName: training-\n", "")

    assert not checked(text).faults


def test_names_of_both_spellings_are_known():
    for name in ("aiEngine_plaformVarsInputModel", "aiEngine_platformVarsInputModel", "platform_imageRegistry"):
        assert not faults(MANIFEST.replace("execution_id", name))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("execution_idd", "execution_id"),
        ("aiEngine_plaformVarsInputModell", "aiEngine_plaformVarsInputModel"),
        ("execution_main-ai-engine-versio", "execution_main-ai-engine-version"),
    ],
)
def test_an_unknown_parameter_comes_with_what_may_be_meant(name, meant):
    (detail,) = faults(MANIFEST.replace("execution_id", name)).values()

    assert detail.startswith(f"uses the parameter {name}, ")
    assert detail.endswith(f"; did you mean {meant}?")


@pytest.mark.parametrize(
    "name",
    ["execution_main-ai-engine-ai-model", "execution_dataPartnerPatientsList", "execution_other-version"],
)
def test_parameters_of_other_schemas_are_not_provided(name):
    assert faults(MANIFEST.replace("execution_id", name))


def test_a_declared_parameter_is_known_and_needs_a_value():
    use = MANIFEST.replace("execution_id", "mine")
    declared = use.replace("  entrypoint", "  arguments: {parameters: [{name: mine, value: 3}]}\n  entrypoint")

    assert not faults(declared)
    assert "mine has no value" in faults(declared.replace(", value: 3", ""))["/spec/arguments/parameters/0"]


@pytest.mark.parametrize(
    "text",
    [
        "{{ workflow.parameters.execution_idd }}",
        "a {{workflow.parameters.execution_idd}} b",
        "{{=workflow.parameters.execution_idd}}",
        "{{=sprig.upper(workflow.parameters['execution_idd'])}}",
        '{"a": {{workflow.parameters.execution_idd}}}',
    ],
)
def test_references_are_found_in_all_their_forms(text):
    template = "  - name: main\n    container: {image: x, args: [" + json.dumps(text) + "]}\n"

    assert "did you mean execution_id?" in faults(manifest(template))["/spec/templates/0/container/args/0"]


def test_references_are_found_in_keys():
    template = "  - name: main\n    nodeSelector: {'{{workflow.parameters.nobody}}': x}\n    container: {image: x}\n"

    assert list(faults(manifest(template))) == ["/spec/templates/0/nodeSelector/{{workflow.parameters.nobody}}"]


@pytest.mark.parametrize(
    "text", ["{{workflow.name}}", "{{ mustache }}", "{{item}}", "{{steps.a.outputs.result}}", "{{"]
)
def test_other_references_are_left_alone(text):
    template = "  - name: main\n    container: {image: x, args: [" + json.dumps(text) + "]}\n"

    assert not faults(manifest(template))


STEPS = """\
  - name: main
    steps:
    - - name: a
        template: worker
        arguments: {parameters: [{name: given, value: x}]}
  - name: worker
    inputs: {parameters: [INPUTS]}
    container: {image: x, args: ["{{inputs.parameters.USED}}"]}
"""


@pytest.mark.parametrize(
    ("inputs", "used", "pointer", "detail"),
    [
        ("{name: given}", "given", None, ""),
        ("{name: execution_id}", "execution_id", None, ""),
        ("{name: other, value: 3}", "other", None, ""),
        ("{name: other, default: 3}", "other", None, ""),
        ("{name: given}", "gven", "/spec/templates/1/container/args/0", "did you mean given?"),
        (
            "{name: execution_ids}",
            "execution_ids",
            "/spec/templates/1/inputs/parameters/0",
            "did you mean execution_id",
        ),
    ],
)
def test_inputs_must_come_from_somewhere(inputs, used, pointer, detail):
    found = faults(manifest(STEPS.replace("INPUTS", inputs).replace("USED", used)))

    assert list(found) == ([pointer] if pointer else [])
    assert detail in found.get(pointer, "")


def test_an_unknown_template_of_a_step_is_named():
    text = STEPS.replace("template: worker", "template: wroker").replace("INPUTS", "").replace("USED", "given")

    assert "did you mean worker?" in faults(manifest(text))["/spec/templates/0/steps/0/0/template"]


def test_templates_of_one_name_are_refused():
    text = "  - {name: main, container: {image: x}}\n" * 2

    assert list(faults(manifest(text))) == ["/spec/templates/1/name"]


def test_no_name_is_held_against_a_manifest_whose_document_is_at_fault():
    text = MANIFEST.replace("execution_id", "nobody-knows")

    assert check(Question(text.encode(), None, OPERATORS)).faults == ()


def test_a_federated_manifest_of_the_field_passes():
    document = DOCUMENT | {
        "input_elements": {"platform_data": True, "external_data": False, "federated_learning_configuration": True}
    }
    text = (Path(__file__).parent / "federated-manifest.yaml").read_text()

    assert checked(text, of=document).faults == ()


def test_the_shipped_training_needs_platform_data():
    document, text = shipped("training-from-scratch")
    without = document | {"input_elements": dict.fromkeys(document["input_elements"], False)}

    assert "refused by the rule host-path" in " ".join(fault.detail for fault in checked(text, of=without).faults)


PIPELINE = """\
  - name: main
    steps:
    - - name: each
        withItems: [main-ai-engine, ITEM]
        template: worker
        arguments: {parameters: [{name: version, value: "{{workflow.parameters.execution_{{item}}-NAME}}"}]}
  - name: worker
    inputs: {parameters: [{name: version}]}
    container: {image: x, args: ["{{inputs.parameters.version}}"]}
"""


def test_a_name_with_a_tag_in_it_is_told_by_the_loops_items():
    good = PIPELINE.replace("NAME", "version").replace(", ITEM", "")

    assert not faults(manifest(good))


@pytest.mark.parametrize(
    ("item", "name", "named"),
    [
        ("other-engine", "version", "execution_other-engine-version"),
        ("main-ai-engine", "size", "execution_main-ai-engine-size"),
    ],
)
def test_what_an_inner_tag_makes_of_a_name_must_be_provided(item, name, named):
    found = faults(manifest(PIPELINE.replace("NAME", name).replace("ITEM", item)))

    assert f"uses the parameter {named}," in found["/spec/templates/0/steps/0/0/arguments/parameters/0/value"]


@pytest.mark.parametrize(
    ("given", "is_good"),
    [("main-ai-engine", True), ("other-engine", False), ("{{workflow.parameters.execution_id}}", True)],
)
def test_an_inner_input_is_told_by_who_gives_it(given, is_good):
    text = PIPELINE.replace("execution_{{item}}-NAME", "execution_id").replace(", ITEM", "")
    text = text.replace("{{workflow.parameters.execution_id}}", given)
    text = text.replace(
        'args: ["{{inputs.parameters.version}}"]',
        'args: ["{{workflow.parameters.execution_{{inputs.parameters.version}}-version}}"]',
    )

    assert (not faults(manifest(text))) is is_good


def test_what_is_wrong_inside_a_name_is_told_too():
    text = (
        PIPELINE.replace("{{item}}", "{{workflow.parameters.nobody}}").replace("NAME", "version").replace("ITEM", "x")
    )

    assert (
        "uses the parameter nobody,"
        in faults(manifest(text))["/spec/templates/0/steps/0/0/arguments/parameters/0/value"]
    )


def test_a_template_within_a_step_has_the_inputs_around_it():
    text = """\
  - name: main
    inputs: {parameters: [{name: who, value: me}]}
    steps:
    - - name: a
        inline: {container: {image: x, args: ["{{inputs.parameters.who}} {{inputs.parameters.nobody}}"]}}
"""

    assert list(faults(manifest(text)).values()) == ["uses the input nobody, which its template does not declare"]


MOUNTS = """\
  - name: main
    inputs: {artifacts: [{name: a, path: /in, optional: true}, {name: b, path: ARTIFACT, optional: true}]}
    volumes: [{name: a, emptyDir: {}}, {name: b, emptyDir: {}}]
    containerSet:
      volumeMounts: [{name: a, mountPath: /data/a}]
      containers:
      - {name: main, image: x, volumeMounts: [{name: b, mountPath: "PATH"}]}
"""
TABULAR = "{{workflow.parameters.aiEngine_plaformVarsInputDataTrainingTabular}}"


@pytest.mark.parametrize(
    ("shared", "own", "is_good"),
    [
        ("/data/a", "/data/b", True),
        ("/data/a", "/data/a", False),
        ("/data/a", "/data/a/", False),
        (TABULAR, TABULAR, False),
        (TABULAR, TABULAR.replace("Tabular", "Imagery"), True),
    ],
)
def test_two_mounts_at_one_path_are_refused(shared, own, is_good):
    text = (
        MOUNTS.replace("PATH", own)
        .replace("mountPath: /data/a}]\n", f'mountPath: "{shared}"}}]\n')
        .replace("ARTIFACT", "/other")
    )

    found = faults(manifest(text))

    assert list(found) == ([] if is_good else ["/spec/templates/0/containerSet/containers/0/volumeMounts/0/mountPath"])


def test_two_artifacts_at_one_path_are_refused():
    found = faults(manifest(MOUNTS.replace("PATH", "/data/b").replace("ARTIFACT", "/in")))

    assert list(found) == ["/spec/templates/0/inputs/artifacts/1/path"]


@pytest.mark.parametrize(
    ("name", "is_good"),
    [
        ("federated-learning-manager-client", True),
        ("federated-learning-manager-server-staging", True),
        ("federated-learning-manager-other", False),
        ("somebody-elses", False),
    ],
)
def test_config_maps_of_the_federated_manager_are_provided(name, is_good):
    text = "  - name: main\n    container: {image: x, envFrom: [{configMapRef: {name: NAME}}]}\n".replace("NAME", name)

    assert (not faults(manifest(text))) is is_good
