"""What senders in the field write in another way than ours do: taken, wherever what they mean is certain."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from executions.models import Execution
from executions.outcomes import UNTOLD
from executions.services import execution_create
from tests.executions.conftest import (
    FEDERATED,
    INFERENCE,
    body,
    federated_document,
    inference_document,
    inference_files,
    multipart,
    output_model,
    training_document,
    training_files,
    upload,
)
from tests.executions.test_callbacks import url, workflow

URL = "/api/executions/"
USER_VARS = "main-ai-engine_version_user_vars"


def post(api: APIClient, document: Any, files: Any = None, query: str = "") -> Any:
    response = api.post(URL + query, multipart(document, files or training_files()))
    assert response.status_code in (200, 201), response.content
    return response.json()


def partner_of(document: Any) -> Any:
    return document["input_elements"]["platform_data"]["data_partners_patients"]["data-partner-1"]


def test_registry_ids_as_text(api: APIClient, make_schema: Any) -> None:
    make_schema("inference", INFERENCE)
    document = inference_document()
    document["ai_elements"]["ai_engines"][0].update(version="3", ai_model="4")

    [engine] = post(api, document, inference_files())["ai_elements"]["ai_engines"]

    assert engine["version"].endswith("/ai_engines_versions/3/")
    assert engine["ai_model"].endswith("/ai_models/4/")


def test_a_model_that_is_null_is_none(api: APIClient, make_schema: Any) -> None:
    make_schema()
    document = training_document()
    document["ai_elements"]["ai_engines"][0]["ai_model"] = None

    assert "ai_model" not in post(api, document)["ai_elements"]["ai_engines"][0]


def test_rounds_and_their_options_as_text(api: APIClient, make_schema: Any) -> None:
    make_schema("federated", FEDERATED)
    document = federated_document()
    document["input_elements"]["federated_learning_configuration"] = {
        "number_iterations": "2", "max_model_size": "100", "aggregation": "trimmed_mean", "trim": "0.1"
    }  # fmt: skip

    configuration = post(api, document)["input_elements"]["federated_learning_configuration"]

    assert configuration == {
        "number_iterations": 2, "max_model_size": 100, "aggregation": "trimmed_mean", "trim": 0.1
    }  # fmt: skip


def test_ids_of_patients_as_numbers(api: APIClient, make_schema: Any) -> None:
    make_schema()
    document = training_document()
    partner_of(document)["patients"] = [{"id": 12, "clinical_data": None}, {"id": "013", "clinical_data": None}]

    answer = post(api, document)

    ids = {"data-partner-1": ["12", "013"]}
    assert answer["input_elements"]["platform_data"]["data_partners_patients"] == ids
    entry = api.get(f"{answer['url']}retrieve_data_partner_information/?data_partner=data-partner-1").json()
    assert [patient["id"] for patient in entry["patients"]] == ["12", "013"]


def test_an_id_as_number_and_as_text_is_one_patient(api: APIClient, make_schema: Any) -> None:
    make_schema()
    document = training_document()
    partner_of(document)["patients"] = [{"id": 12, "clinical_data": None}, {"id": "12", "clinical_data": None}]

    response = api.post(URL, multipart(document, training_files()))

    assert [fault["detail"] for fault in response.json()["errors"]] == ["is the id of an earlier patient"]


@pytest.mark.parametrize("patient_id", [True, 1.5, None, [], ""])
def test_an_id_that_is_neither_is_refused(api: APIClient, make_schema: Any, patient_id: Any) -> None:
    make_schema()
    document = training_document()
    partner_of(document)["patients"][0]["id"] = patient_id

    [fault] = api.post(URL, multipart(document, training_files())).json()["errors"]

    assert fault["pointer"].endswith("/data-partner-1/patients/0/id")


def test_what_else_a_partners_entry_holds_is_kept(api: APIClient, make_schema: Any) -> None:
    make_schema()
    document = training_document()
    partner_of(document)["dp_name"] = "A hospital"

    answer = post(api, document)

    entry = api.get(f"{answer['url']}retrieve_data_partner_information/?data_partner=data-partner-1").json()
    assert entry == partner_of(document)


@pytest.mark.parametrize("given", [{}, {"merge_type": None}, {"merge_type": ""}])
def test_a_merge_type_that_nobody_gave_is_null(api: APIClient, make_schema: Any, given: Any) -> None:
    make_schema()

    answer = post(api, training_document(output_elements=output_model(**given)))

    assert answer["output_elements"]["ai_model"]["merge_type"] is None
    assert api.get(answer["url"]).json()["output_elements"] == answer["output_elements"]


@pytest.mark.parametrize("query", ["?format=json", "?dry_run=true&format=json"])
def test_a_post_may_name_the_format_of_its_answer(api: APIClient, make_schema: Any, query: str) -> None:
    make_schema()

    assert post(api, training_document(), query=query)


@pytest.mark.parametrize(
    "path",
    ["", "{id}/", "{id}/rounds/", "{id}/retrieve_data_partner_information/?data_partner=data-partner-1&"],
)
def test_the_format_may_be_named_wherever_json_is_answered(api: APIClient, make_schema: Any, path: str) -> None:
    make_schema("federated", FEDERATED)
    execution = execution_create(document=federated_document(), files=training_files())
    address = URL + path.format(id=execution.pk)

    assert api.get(address + ("" if "?" in address else "?") + "format=json").status_code == 200


def test_another_format_is_refused_by_name(api: APIClient, training: Execution) -> None:
    [fault] = api.get(f"{URL}?format=api").json()["errors"]

    assert fault["pointer"] == "/query/format"


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data; boundary=x", "text/plain"])
def test_a_workflow_begins_without_a_body(training: Execution, content_type: str) -> None:
    response = workflow(training).generic("PATCH", url(training, "update_to_running/"), b"", content_type=content_type)

    assert (response.status_code, response.json()["state"]) == (200, {"status": "running"})


@pytest.mark.parametrize("document", [{}, {"message": ""}, {"message": " \n"}, {"message": None}])
def test_a_failure_that_says_nothing_keeps_the_default(training: Execution, document: Any) -> None:
    response = workflow(training).patch(url(training, "update_to_failed/"), document, format="json")

    assert response.status_code == 200
    assert response.json()["state"]["message"] == UNTOLD


def test_a_role_that_says_nothing_failed_for_all_that(api: APIClient, make_schema: Any) -> None:
    make_schema("federated", FEDERATED)
    execution = execution_create(document=federated_document(), files=training_files())

    response = api.patch(url(execution, "update_role_to_failed/"), {"message": ""}, format="json")

    assert (response.status_code, response.json()["state"]["message"]) == (200, UNTOLD)


def test_a_failure_whose_message_is_a_number(training: Execution) -> None:
    response = workflow(training).patch(url(training, "update_to_failed/"), {"message": 137}, format="json")

    assert response.json()["state"]["message"] == "137"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (rb'{"message": "cut \ud83d"}', "cut \ufffd"),
        (rb'{"message": "\ud83d\ude00 and \udc00"}', "\U0001f600 and \ufffd"),
        (rb'{"message": "nul\u0000"}', "nul\ufffd"),
        (rb'{"message": "C:\\ud83d"}', r"C:\ud83d"),
        (b'{"message": "latin \xe9"}', "latin \ufffd"),
        ('{"message": "already \ufffd"}'.encode(), "already \ufffd"),
    ],
)
@pytest.mark.parametrize("form", [True, False])
def test_a_failure_is_heard_whatever_its_message_is_made_of(
    training: Execution, content: bytes, message: str, form: bool
) -> None:
    kind = "application/json"
    if form:
        content = b'--b\r\nContent-Disposition: form-data; name="data"\r\n\r\n' + content + b"\r\n--b--\r\n"
        kind = "multipart/form-data; boundary=b"

    response = workflow(training).generic("PATCH", url(training, "update_to_failed/"), content, content_type=kind)

    assert (response.status_code, response.json()["state"]["message"]) == (200, message)


def test_products_as_text(make_schema: Any) -> None:
    make_schema()
    execution = execution_create(document=training_document(), files=training_files())
    document = {"ai_model": {"ai_model": "8"}, "evaluation_metrics": [{"evaluation_metric": "9"}]}

    response = workflow(execution).patch(url(execution, "update_to_succeeded/"), document, format="json")

    assert response.json()["output_elements"]["ai_model"]["ai_model"].endswith("/ai_models/8/")


def test_a_clients_metrics_as_text_are_numbers(make_schema: Any, api: APIClient) -> None:
    make_schema("federated", FEDERATED)
    execution = execution_create(document=federated_document(), files=training_files())
    told = {
        "role": "client", "client": "data-partner-1", "step": "evaluated", "round": 2,
        "metrics": {"evaluation_metrics": [{"name": "auc", "value": "0.9"}, {"name": "f1", "value": "nan"}]},
    }  # fmt: skip

    api.post(url(execution, "progress/"), told, format="json")

    assert execution.federated_progress.get().metrics == {"auc": 0.9}


MARKED = b'\xef\xbb\xbf{"epochs": 3}'


def test_user_variables_are_kept_without_a_byte_order_mark(api: APIClient, make_schema: Any) -> None:
    make_schema()

    answer = post(api, training_document(), {USER_VARS: upload(MARKED)})

    kept = body(api.get(answer["ai_elements"]["ai_engines"][0]["version_user_vars"]))
    assert kept == b'{"epochs": 3}'


def test_report_metadata_is_kept_without_a_byte_order_mark(api: APIClient, make_schema: Any) -> None:
    make_schema("inference", INFERENCE)

    answer = post(api, inference_document(), {**inference_files(), "report_metadata": upload(MARKED)})

    assert body(api.get(answer["input_elements"]["report_metadata"])) == b'{"epochs": 3}'


def test_utf_16_is_told_by_name(api: APIClient, make_schema: Any) -> None:
    make_schema()

    response = api.post(URL, multipart(training_document(), {USER_VARS: upload("{}".encode("utf-16"))}))

    assert [fault["detail"] for fault in response.json()["errors"]] == ["is UTF-16: save it as UTF-8"]
