"""Schemas that are a plain Workflow: without AI engines, and without anything that they would have to produce."""

import json

import pytest

from tests.schemas.samples import MANIFEST, document, form, part

pytestmark = pytest.mark.django_db
URL = "/api/schemas/"
ELEMENTS = ("input_elements", "ai_elements", "output_elements")
NOTHING = {
    "input_elements": {
        "platform_data": False,
        "external_data": False,
        "report_metadata": False,
        "federated_learning_configuration": False,
    },
    "ai_elements": {"ai_engines": []},
    "output_elements": {"ai_model": False, "evaluation_metrics": False, "generic_file": False},
}


def posted(api, **elements):
    data = {field: value for field, value in document().items() if field not in ELEMENTS}
    return api.post(URL, form(data | elements), format="multipart")


@pytest.mark.parametrize(
    "elements",
    [
        {},
        NOTHING,
        {"ai_elements": {}, "output_elements": {}},
        {"ai_elements": {"ai_engines": []}, "input_elements": {"platform_data": False}},
    ],
    ids=["left out", "written out", "empty", "in part"],
)
def test_a_schema_without_ai_engines_need_name_no_elements(api, elements):
    response = posted(api, **elements)

    assert response.status_code == 201, response.content
    assert {field: response.json()[field] for field in ELEMENTS} == NOTHING


def test_a_plain_workflow_may_take_and_give_what_it_says(api):
    answer = posted(api, input_elements={"external_data": True}, output_elements={"generic_file": True}).json()

    assert answer["input_elements"]["external_data"]
    assert answer["output_elements"] == NOTHING["output_elements"] | {"generic_file": True}


def test_a_plain_workflow_is_given_no_parameters_of_ai_engines(api):
    text = MANIFEST.replace("execution_id", "execution_main-ai-engine-version")
    data = form(document(ai_elements={"ai_engines": []}), auxiliary_file=part(text))

    response = api.post(URL, data, format="multipart")

    assert "which is neither declared nor provided" in response.json()["errors"][0]["detail"]


@pytest.mark.parametrize("missing", ["input_elements", "output_elements"])
def test_a_schema_with_ai_engines_says_what_it_takes_and_gives(api, missing):
    data = document()
    del data[missing]

    response = api.post(URL, form(data), format="multipart")

    assert response.status_code == 400
    assert {error["pointer"] for error in response.json()["errors"]} == {f"/data/{missing}"}


@pytest.mark.parametrize(
    ("elements", "pointer"),
    [
        ({"ai_elements": None}, "/data/ai_elements"),
        ({"ai_elements": {"ai_engines": None}}, "/data/ai_elements/ai_engines"),
        ({"output_elements": []}, "/data/output_elements"),
        ({"output_elements": {"ai_model": "no"}}, "/data/output_elements/ai_model"),
        ({"output_elements": {"colour": True}}, "/data/output_elements/colour"),
        (
            {"input_elements": {"platform_data": True, "federated_learning_configuration": True}},
            "/data/input_elements/federated_learning_configuration",
        ),
    ],
    ids=json.dumps,
)
def test_elements_that_make_no_plain_workflow_are_refused(api, elements, pointer):
    response = posted(api, **elements)

    assert response.status_code == 400
    assert pointer in {error["pointer"] for error in response.json()["errors"]}
