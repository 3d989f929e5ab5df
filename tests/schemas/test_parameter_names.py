"""The names that the orchestrator provides are those that a running one was seen to give."""

import json

import pytest

from schemas.parameter_names import provided_parameter_names
from templates.shipped import shipped_schemas
from tests.schemas.samples import CAPTURES, DOCUMENT

CAPTURED = json.loads((CAPTURES / "workflow-parameters.json").read_text())
DOCUMENTS = {schema.name: schema.document for schema in shipped_schemas()}
FEDERATED = {
    name: DOCUMENT
    | {
        "input_elements": {"platform_data": True, "external_data": False, "federated_learning_configuration": True},
        "ai_elements": {"ai_engines": [DOCUMENT["ai_elements"]["ai_engines"][0] | {"ai_model": "pretrained" in name}]},
    }
    for name in CAPTURED
    if "federated" in name
}


def names(document):
    return provided_parameter_names(document["input_elements"], document["ai_elements"], document["output_elements"])


@pytest.mark.parametrize("flow", [name for name in CAPTURED if name != "common"])
def test_the_captured_names_are_provided_and_no_more(flow):
    document = (DOCUMENTS | FEDERATED)[flow]
    captured = set(CAPTURED["common"]) | set(CAPTURED[flow])

    ours = {name for name in names(document) if "aiEngine_platform" not in name and "platform-vars" not in name}

    assert ours - captured == {"platform_imageRegistry"}
    assert not captured - ours


def test_every_misspelt_name_is_there_well_spelt():
    given = names(DOCUMENT)

    assert {name.replace("plaform", "platform") for name in given} <= given
    assert "execution_main-ai-engine-platform-vars-api-host" in given


def test_each_ai_engine_has_names_of_its_own():
    engines = [DOCUMENT["ai_elements"]["ai_engines"][0] | {"descriptor": name} for name in ("a", "b")]

    given = names(DOCUMENT | {"ai_elements": {"ai_engines": engines}})

    assert {"execution_a-version", "execution_b-version"} <= given
    assert "execution_main-ai-engine-version" not in given
