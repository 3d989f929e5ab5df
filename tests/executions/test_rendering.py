from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml

from executions.conf import transport
from executions.facts import ManagerVariables, OutputModel
from executions.parameters import platform_vars
from executions.rendering import Rendering, render, workflow_name
from templates.shipped import shipped_schemas
from tests.executions.conftest import AWKWARD, MANIFEST
from tests.executions.flows import FLOWS, PLATFORM

SHIPPED = {schema.name: yaml.safe_load(schema.manifest_yaml) for schema in shipped_schemas()}
USED = re.compile(r"\{\{workflow\.parameters\.([^}]+)\}\}")
IMAGES = ["processor-resource-manager", "federated-learning-manager"]
MANAGERS = ManagerVariables(
    channel={
        "COMMUNICATION_ADAPTER": "DATABASE",
        "COMMUNICATION_ADAPTER_MAX_MODEL_SIZE": "51200",
        "FEDERATED_PROGRESS_ENDPOINT": "http://127.0.0.1:18000/api/executions/15/progress/",
    },
    defaults={"COMMUNICATION_ADAPTER_MAX_ITERATION_TIME": "1500"},
    chosen={"FEDERATED_ROUND_POLICY": "continue"},
    secret=("FEDERATED_KAFKA_PASSWORD",),
    max_model_bytes=51200 * 1024,
)
TOKEN = {
    "name": "ORCHESTRATOR_CALLBACK_TOKEN",
    "valueFrom": {"secretKeyRef": {"name": "execution-13-1-abcdef-callback", "key": "main"}},
}


def rendered(manifest: dict[str, Any] = MANIFEST, flow: str = "training-from-scratch", **changed: Any) -> Rendering:
    return render(
        manifest=manifest,
        execution=FLOWS[flow],
        platform=PLATFORM,
        name="execution-13-1-abcdef",
        **{"callback_images": IMAGES, "managers": MANAGERS if FLOWS[flow].federated else None, **changed},
    )


@pytest.mark.parametrize("flow", FLOWS)
def test_the_workflow_of_each_flow(flow: str, golden: Any) -> None:
    golden(f"workflow-{flow}", rendered(SHIPPED.get(flow, MANIFEST), flow).manifest)


def test_every_shipped_schema_is_a_flow_here() -> None:
    assert set(SHIPPED) <= set(FLOWS)


@pytest.mark.parametrize("flow", SHIPPED)
def test_every_parameter_that_a_shipped_manifest_uses_is_given(flow: str) -> None:
    result = rendered(SHIPPED[flow], flow)

    used = set(USED.findall(json.dumps(result.manifest["spec"])))

    assert used <= set(result.parameters)


@pytest.mark.parametrize("flow", SHIPPED)
@pytest.mark.parametrize("text", AWKWARD)
def test_arguments_stay_json_whatever_a_user_types(flow: str, text: str) -> None:
    execution = FLOWS[flow]
    if execution.output_model is not None:
        execution = replace(execution, output_model=OutputModel(text, text, text))
    result = render(manifest=SHIPPED[flow], execution=execution, platform=PLATFORM, name="x")

    arguments = list(step_runner_arguments(result))

    assert arguments
    for argument in arguments:
        metadata = [each.get("ai_model_upload_metadata", {}) for each in json.loads(argument)["actions"]]
        assert all(each.get("name", text) == text for each in metadata)


def step_runner_arguments(result: Rendering) -> Iterator[str]:
    """Yield the first argument of every step runner, parameters pasted as an engine pastes them."""
    for template in result.manifest["spec"]["templates"]:
        grouped = template.get("containerSet", {}).get("containers", [])
        for container in [template.get("container", {}), *template.get("initContainers", []), *grouped]:
            if "/processor-resource-manager:" in container.get("image", ""):
                yield USED.sub(lambda name: result.parameters[name[1]], container["args"][0])


def test_the_schemas_manifest_is_left_as_it_was() -> None:
    before = copy.deepcopy(MANIFEST)

    rendered()

    assert before == MANIFEST


def test_ours_wins_a_clash_and_the_manifests_own_stay() -> None:
    parameters = rendered().manifest["spec"]["arguments"]["parameters"]

    by_name = {parameter["name"]: parameter for parameter in parameters}
    assert len(by_name) == len(parameters)
    assert by_name["own"] == {"name": "own", "value": "kept"}
    assert by_name["execution_id"] == {"name": "execution_id", "value": "13"}
    assert by_name["asked"] == {"name": "asked", "valueFrom": {"supplied": {}}}


def test_artifacts_among_the_arguments_stay() -> None:
    manifest = copy.deepcopy(MANIFEST)
    manifest["spec"]["arguments"]["artifacts"] = [{"name": "a", "raw": {"data": "x"}}]

    assert rendered(manifest).manifest["spec"]["arguments"]["artifacts"] == [{"name": "a", "raw": {"data": "x"}}]


def test_a_manifest_without_arguments_gets_ours() -> None:
    manifest = {"metadata": None, "spec": {"templates": [{"name": "main", "container": {"image": "x"}}]}}

    workflow = rendered(manifest).manifest

    assert workflow["metadata"]["name"] == "execution-13-1-abcdef"
    assert workflow["spec"]["arguments"]["parameters"]


def test_name_and_labels_are_ours() -> None:
    metadata = rendered().manifest["metadata"]

    assert metadata == {
        "name": "execution-13-1-abcdef",
        "labels": {
            "team": "imaging",
            "app.kubernetes.io/managed-by": "orchestrator",
            "orchestrator/execution": "13",
        },
    }


def test_only_our_images_get_the_token() -> None:
    main, train, exit_handler = rendered().manifest["spec"]["templates"]

    assert train["initContainers"][0]["env"] == [{"name": "OTHER", "value": "x"}, TOKEN]
    assert train["sidecars"][0]["env"] == [TOKEN]
    manager, engine = train["containerSet"]["containers"]
    assert manager["env"] == [TOKEN]
    assert engine["env"] == [{"name": "MODE", "value": "fast"}]
    assert main["steps"][1][0]["inline"]["container"]["env"] == [TOKEN]
    assert "env" not in exit_handler["container"]


def test_the_token_itself_is_nowhere_in_the_manifest() -> None:
    assert "typed by somebody" not in json.dumps(rendered().manifest)


def test_script_and_default_templates_get_the_token_too() -> None:
    image = "x/processor-resource-manager:1"
    manifest = {
        "spec": {
            "templateDefaults": {"container": {"image": image}},
            "templates": [
                {"name": "main", "script": {"image": image}},
                {"name": "graph", "dag": {"tasks": [{"name": "a", "inline": {"container": {"image": image}}}]}},
            ],
        }
    }

    spec = rendered(manifest).manifest["spec"]

    assert spec["templateDefaults"]["container"]["env"] == [TOKEN]
    assert spec["templates"][0]["script"]["env"] == [TOKEN]
    assert spec["templates"][1]["dag"]["tasks"][0]["inline"]["container"]["env"] == [TOKEN]


def test_the_config_map_holds_the_platforms_variables() -> None:
    result = rendered()

    assert result.parameters["aiEngine_plaformVarsConfigMapName"] == "execution-13-1-abcdef-platform-vars"
    content = result.config_maps["execution-13-1-abcdef-platform-vars"]
    assert json.loads(content["platform_vars.json"]) == platform_vars(PLATFORM)


def test_its_name_may_be_fixed_by_settings() -> None:
    assert set(rendered(config_map_name="ai-engine-config").config_maps) == {"ai-engine-config"}


@pytest.mark.parametrize("place", ["spec", "template"])
def test_its_name_may_be_fixed_by_the_manifest(place: str) -> None:
    volumes = [
        {"name": "vars", "configMap": {"name": "written-out"}},
        {"name": "other", "configMap": {"name": "somebody-elses"}},
    ]
    mount = {"name": "vars", "mountPath": "/platform_vars.json", "subPath": "platform_vars.json"}
    template: dict[str, Any] = {"name": "main", "container": {"image": "x", "volumeMounts": [mount]}}
    manifest: dict[str, Any] = {"spec": {"templates": [template]}}
    (manifest["spec"] if place == "spec" else template)["volumes"] = volumes

    assert set(rendered(manifest).config_maps) == {"execution-13-1-abcdef-platform-vars", "written-out"}


def test_workflow_names_tell_the_execution_and_differ() -> None:
    first, second = workflow_name(7, 2), workflow_name(7, 2)

    assert first.startswith("execution-7-2-")
    assert first != second
    assert len(workflow_name(2**63 - 1, 999)) <= 63 - len("-platform-vars")


def manager(env: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """Return the environment that a manager of these variables has in the end, by name."""
    container = {"image": "x/federated-learning-manager:1", "env": env or [], **more}
    manifest = {"spec": {"templates": [{"name": "main", "container": container}]}}
    spec = rendered(manifest, "training-from-scratch-federated-learning").manifest["spec"]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in spec["templates"][0]["container"]["env"]}


def test_a_manager_is_told_how_to_reach_the_channel() -> None:
    variables = manager()

    assert variables["COMMUNICATION_ADAPTER"] == "DATABASE"
    assert variables["COMMUNICATION_ADAPTER_MAX_ITERATION_TIME"] == "1500"
    assert variables["FEDERATED_KAFKA_PASSWORD"] == {
        "secretKeyRef": {"name": "execution-13-1-abcdef-callback", "key": "FEDERATED_KAFKA_PASSWORD"}
    }


def test_what_the_manifest_says_itself_stays() -> None:
    own = [
        {"name": "COMMUNICATION_ADAPTER", "value": "KAFKA"},
        {"name": "COMMUNICATION_ADAPTER_MAX_ITERATION_TIME", "value": "60"},
        {"name": "FEDERATED_KAFKA_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "theirs", "key": "password"}}},
    ]

    variables = manager(own)

    assert variables["COMMUNICATION_ADAPTER"] == "KAFKA"
    assert variables["COMMUNICATION_ADAPTER_MAX_ITERATION_TIME"] == "60"
    assert variables["FEDERATED_KAFKA_PASSWORD"] == {"secretKeyRef": {"name": "theirs", "key": "password"}}


def test_what_the_execution_chose_stands_above_the_manifest() -> None:
    assert manager([{"name": "FEDERATED_ROUND_POLICY", "value": "fail"}])["FEDERATED_ROUND_POLICY"] == "continue"


def test_time_outs_of_a_config_map_are_not_covered_up() -> None:
    variables = manager(envFrom=[{"configMapRef": {"name": "managers"}}])

    assert "COMMUNICATION_ADAPTER_MAX_ITERATION_TIME" not in variables
    assert variables["COMMUNICATION_ADAPTER"] == "DATABASE"


def test_only_managers_are_told_of_the_channel() -> None:
    manifest = {"spec": {"templates": [{"name": "main", "container": {"image": "x/processor-resource-manager:1"}}]}}
    workflow = rendered(manifest, "training-from-scratch-federated-learning").manifest

    assert workflow["spec"]["templates"][0]["container"]["env"] == [TOKEN]
    assert workflow["metadata"]["annotations"] == {"orchestrator/max-model-bytes": "52428800"}


def test_a_manifest_does_not_set_what_only_we_say() -> None:
    ours = {"orchestrator/max-model-bytes": "1", "orchestrator/execution": "7", "theirs": "stays"}

    metadata = rendered({"metadata": {"labels": ours, "annotations": ours}, "spec": {}}).manifest["metadata"]

    assert metadata["annotations"] == {"theirs": "stays"}
    assert metadata["labels"] == {
        "theirs": "stays",
        "app.kubernetes.io/managed-by": "orchestrator",
        "orchestrator/execution": "13",
    }


def test_containers_with_a_token_are_told_how_to_speak_to_us() -> None:
    told = {"ORCHESTRATOR_HTTPS_HOSTS": "api:443", "ORCHESTRATOR_API_CA": "pem"}
    manifest = copy.deepcopy(SHIPPED["training-from-scratch"])
    workflow = rendered(manifest, transport=told).manifest
    text = json.dumps(workflow)
    with_token = text.count('"name": "ORCHESTRATOR_CALLBACK_TOKEN"')
    assert with_token > 0
    assert text.count('{"name": "ORCHESTRATOR_HTTPS_HOSTS", "value": "api:443"}') == with_token
    assert text.count('{"name": "ORCHESTRATOR_API_CA", "value": "pem"}') == with_token


@pytest.mark.parametrize(
    ("schemes", "authority", "told"),
    [
        (("http", "http"), "pem", {}),
        (("https", "http"), "", {"ORCHESTRATOR_HTTPS_HOSTS": "o:1"}),
        (("http", "https"), "pem", {"ORCHESTRATOR_HTTPS_HOSTS": "r:2", "ORCHESTRATOR_API_CA": "pem"}),
        (("https", "https"), "", {"ORCHESTRATOR_HTTPS_HOSTS": "o:1,r:2"}),
    ],
)
def test_what_is_told_of_https(settings: Any, schemes: tuple[str, str], authority: str, told: dict[str, str]) -> None:
    settings.ORCHESTRATOR_API_SCHEME, settings.MAAS_API_SCHEME = schemes
    settings.ORCHESTRATOR_API_HOSTNAME, settings.MAAS_API_HOSTNAME, settings.API_CA = "o:1", "r:2", authority
    assert transport() == told
