from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from executions.facts import OutputModel, Partner
from executions.parameters import execution_parameters, json_text, json_value, platform_vars
from schemas.parameter_names import provided_parameter_names
from tests.executions.conftest import AWKWARD
from tests.executions.flows import BREAST_CANCER, CAPTURE, FLOWS, MODEL, PARTNER_1, PLATFORM, execution

_PORT_NAMES = ("-prm-api-host", "-plaform-vars-api-host")
_JSON_NAMES = ("execution_dataPartnerPatients", "execution_dataPartnerPatientsList")


@pytest.mark.parametrize("flow", FLOWS)
def test_the_parameters_of_each_flow(flow: str, golden: Any) -> None:
    golden(f"parameters-{flow}", execution_parameters(FLOWS[flow], PLATFORM, "ai-engine-config"))


@pytest.mark.parametrize("flow", [name for name in CAPTURE if name != "common"])
def test_they_equal_what_a_running_orchestrator_rendered(flow: str) -> None:
    captured = {**CAPTURE["common"], **CAPTURE[flow]}
    ours = execution_parameters(FLOWS[flow], PLATFORM, "ai-engine-config")

    assert {name: _comparable(name, ours[name]) for name in captured} == {
        name: _comparable(name, value) for name, value in captured.items()
    }


def _comparable(name: str, value: str) -> Any:
    if name.endswith(_PORT_NAMES):
        host, port = value.split(":")
        return host, 49152 <= int(port) <= 65535
    return json.loads(value) if name in _JSON_NAMES else value


@pytest.mark.parametrize("flow", [name for name in CAPTURE if name != "common"])
def test_a_flow_gives_nothing_but_what_the_capture_and_the_twins_name(flow: str) -> None:
    captured = {**CAPTURE["common"], **CAPTURE[flow]}

    ours = set(execution_parameters(FLOWS[flow], PLATFORM, "ai-engine-config"))

    twins = {name.replace("plaform", "platform") for name in captured}
    assert ours == {*captured, *twins, "platform_imageRegistry"}


def test_both_spellings_carry_the_same_value() -> None:
    parameters = execution_parameters(FLOWS["training-from-scratch"], PLATFORM, "a-config")

    assert parameters["aiEngine_platformVarsConfigMapName"] == "a-config"
    assert parameters["aiEngine_platformVarsApiHost"] == parameters["aiEngine_plaformVarsApiHost"]
    assert (
        parameters["execution_main-ai-engine-platform-vars-api-host"]
        == parameters["execution_main-ai-engine-plaform-vars-api-host"]
    )


@pytest.mark.parametrize(
    ("flow", "inputs", "outputs", "descriptors", "model"),
    [
        ("training-from-scratch", ["platform_data"], ["ai_model"], ["main-ai-engine"], False),
        (
            "training-from-pretrained-model-federated-learning",
            ["platform_data", "federated_learning_configuration"],
            ["ai_model"],
            ["main-ai-engine"],
            True,
        ),
        ("joint-breast-cancer-mammography", ["external_data"], ["generic_file"], BREAST_CANCER, True),
    ],
)
def test_schemas_promise_exactly_the_names_that_are_given(
    flow: str, inputs: list[str], outputs: list[str], descriptors: list[str], model: bool
) -> None:
    engines = [
        {"descriptor": each, "role_type": "*", "functionalities": ["x"], "ai_model": model} for each in descriptors
    ]
    promised = provided_parameter_names(
        dict.fromkeys(inputs, True), {"ai_engines": engines}, dict.fromkeys(outputs, True)
    )

    assert set(execution_parameters(FLOWS[flow], PLATFORM, "")) == promised


@pytest.mark.parametrize("text", AWKWARD)
def test_text_stays_itself_inside_a_json_string_of_a_manifest(text: str) -> None:
    model = OutputModel(text, text, text)
    parameters = execution_parameters(execution(output=model), PLATFORM, "")

    for end in ("Name", "Description", "MergeType"):
        pasted = '{"name": "' + parameters[f"execution_outputAIModel{end}"] + '"}'
        assert json.loads(pasted) == {"name": text}


@pytest.mark.parametrize("text", AWKWARD)
def test_no_text_of_a_user_is_an_expression(text: str) -> None:
    partner = replace(PARTNER_1, patient_ids=(text,))
    parameters = execution_parameters(execution(partners=(partner,), output=replace(MODEL, name=text)), PLATFORM, "")

    assert not any("{{" in value for value in parameters.values())
    assert json.loads(parameters["execution_dataPartnerPatients"]) == {"data-partner-1": [text]}


def test_objects_are_compact_json() -> None:
    assert json_value({"a": [1, {"b": "x y"}]}) == '{"a":[1,{"b":"x y"}]}'


def test_escaped_quotes_do_not_end_a_string() -> None:
    value = ['a\\"{', '"{{x}}"', "{"]

    assert json.loads(json_value(value)) == value
    assert "{" not in json_value(value)


def test_plain_text_is_left_alone() -> None:
    assert json_text("init_plt_data, 2nd try") == "init_plt_data, 2nd try"


def test_a_path_that_is_not_known_is_empty() -> None:
    parameters = execution_parameters(execution(partners=(PARTNER_1,)), PLATFORM, "")

    assert parameters["execution_dataPartnerDataPath"] == ""


def test_a_known_path_is_given() -> None:
    partner = Partner("data-partner-1", "/mnt/data", ("1",), {})
    parameters = execution_parameters(execution(partners=(partner,)), PLATFORM, "")

    assert parameters["execution_dataPartnerDataPath"] == "/mnt/data"


def test_ai_engines_read_paths_and_their_own_address(golden: Any) -> None:
    golden("platform_vars", platform_vars(PLATFORM))
