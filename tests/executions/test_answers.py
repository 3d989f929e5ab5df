"""Reading executions over HTTP."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from executions.models import Execution
from executions.outcomes import execution_to_failed, execution_to_succeeded
from executions.services import execution_create
from tests.executions.conftest import (
    FEDERATED,
    INFERENCE,
    body,
    content,
    federated_document,
    inference_document,
    inference_files,
    training_document,
    training_files,
)

URL = "/api/executions/"


def url(execution: Execution, rest: str = "") -> str:
    return f"{URL}{execution.pk}/{rest}"


def test_a_failure_shows_message_and_reason(api: APIClient, training: Execution) -> None:
    execution_to_failed(execution_id=training.pk, document={"message": "no data"})

    state = api.get(url(training)).json()["state"]

    assert state == {"status": "failed", "message": "no data", "reason": "callback"}


def test_success_shows_what_was_produced(api: APIClient, training: Execution) -> None:
    document = {"ai_model": {"ai_model": 5}, "evaluation_metrics": [{"evaluation_metric": 6}]}
    execution_to_succeeded(execution_id=training.pk, document=document)

    assert api.get(url(training)).json()["output_elements"] == {
        "ai_model": {"ai_model": "http://127.0.0.1:8900/api/ai_models/5/"},
        "evaluation_metrics": [{"evaluation_metric": "http://127.0.0.1:8900/api/evaluation_metrics/6/"}],
    }


def test_success_of_inference_shows_its_file(api: APIClient, inference: Execution) -> None:
    execution_to_succeeded(execution_id=inference.pk, document={"generic_file": {"generic_file": 7}})

    assert api.get(url(inference)).json()["output_elements"] == {
        "generic_file": {"generic_file": "http://127.0.0.1:8900/api/generic_files/7/"}
    }


@pytest.mark.parametrize("rest", ["", "download_external_data/", "retrieve_data_partner_information/?data_partner=x"])
@pytest.mark.parametrize("execution_id", ["1", "9" * 25, "0"])
def test_what_is_not_there_is_not_found(api: APIClient, execution_id: str, rest: str) -> None:
    assert api.get(f"{URL}{execution_id}/{rest}").status_code == 404


def test_deleting(api: APIClient, training: Execution) -> None:
    assert api.delete(url(training)).status_code == 204
    assert api.get(url(training)).status_code == 404
    assert api.delete(url(training)).status_code == 404


def test_stopping(api: APIClient, training: Execution) -> None:
    response = api.post(url(training, "stop/"))

    assert response.status_code == 200
    assert response.json()["state"]["reason"] == "stopped"
    assert Execution.objects.filter(pk=training.pk).exists()


def test_external_data_come_back_byte_for_byte(api: APIClient, inference: Execution) -> None:
    posted = content(inference.external_data)

    response = api.get(url(inference, "download_external_data/"))

    assert body(response) == posted
    assert response["Content-Length"] == str(len(posted))
    assert response["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "rest",
    ["download_external_data/", "download_report_metadata/", "download_user_vars/?descriptor=main-ai-engine"],
)
def test_downloads_answer_head_and_resume(api: APIClient, inference: Execution, rest: str) -> None:
    whole = body(api.get(url(inference, rest)))

    head = api.head(url(inference, rest))
    part = api.get(url(inference, rest), headers={"range": "bytes=5-"})
    beyond = api.get(url(inference, rest), headers={"range": "bytes=100000-"})

    assert (head.status_code, head["Content-Length"]) == (200, str(len(whole)))
    assert (part.status_code, body(part)) == (206, whole[5:])
    assert beyond.status_code == 416


@pytest.mark.parametrize(
    "rest",
    [
        "download_external_data/",
        "download_report_metadata/",
        "download_user_vars/",
        "download_user_vars/?descriptor=other",
        "download_user_vars/?descriptor=main-ai-engine&descriptor=other",
        "retrieve_data_partner_information/",
        "retrieve_data_partner_information/?data_partner=data-partner-2",
    ],
)
def test_what_the_schema_does_not_have_is_refused_with_a_reason(api: APIClient, training: Execution, rest: str) -> None:
    response = api.get(url(training, rest))

    assert response.status_code == 400
    assert response.json()["detail"]


def test_inference_has_no_partner(api: APIClient, inference: Execution) -> None:
    response = api.get(url(inference, "retrieve_data_partner_information/?data_partner=data-partner-1"))

    assert response.status_code == 400


def test_a_partners_entry_comes_back_as_posted(api: APIClient, training: Execution) -> None:
    response = api.get(url(training, "retrieve_data_partner_information/?data_partner=data-partner-1"))

    posted = training_document()["input_elements"]["platform_data"]["data_partners_patients"]["data-partner-1"]
    assert response.json() == posted


@pytest.fixture
def three(make_schema: Any) -> list[Execution]:
    """A failed, a succeeded and a pending execution, a day apart, the pending one the newest."""
    make_schema()
    make_schema("inference", INFERENCE)
    trainings = [execution_create(document=training_document(), files=training_files()) for _ in range(2)]
    newest = execution_create(document=inference_document(), files=inference_files())
    execution_to_failed(execution_id=trainings[0].pk, document={"message": "out of memory"})
    products = {"ai_model": {"ai_model": 5}, "evaluation_metrics": []}
    execution_to_succeeded(execution_id=trainings[1].pk, document=products)
    for days, execution in zip((2, 1, 0), (*trainings, newest), strict=True):
        Execution.objects.filter(pk=execution.pk).update(created_at=timezone.now() - timedelta(days=days))
    return [*trainings, newest]


def moment(**ago: int) -> str:
    return (timezone.now() - timedelta(**ago)).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [2, 1, 0]),
        ("sort=created_at", [0, 1, 2]),
        ("sort=-schema,created_at", [0, 1, 2]),
        ("schema=training", [1, 0]),
        ("schema=nobody", []),
        ("state=failed", [0]),
        ("state=pending", [2]),
        ("q=MEMORY", [0]),
        ("search=init_plt", [1, 0]),
        ("q=inference", [2]),
        ("page_size=1", [2]),
        ("page_size=1&page=3", [0]),
    ],
)
def test_lists_are_filtered_and_sorted(api: APIClient, three: list[Execution], query: str, expected: list[int]) -> None:
    results = api.get(f"{URL}?{query}").json()["results"]

    assert [each["id"] for each in results] == [three[index].pk for index in expected]


def test_lists_are_cut_by_time(api: APIClient, three: list[Execution]) -> None:
    after = api.get(URL, {"created_at_after": moment(hours=36)}).json()["results"]
    before = api.get(URL, {"created_at_before": moment(hours=36)}).json()["results"]

    assert [each["id"] for each in after] == [three[2].pk, three[1].pk]
    assert [each["id"] for each in before] == [three[0].pk]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("color=red", "color"),
        ("state=sleeping", "state"),
        ("created_at_after=yesterday", "created_at_after"),
        ("sort=color", "sort"),
        ("page_size=0", "page_size"),
    ],
)
def test_what_a_list_does_not_know_is_refused(api: APIClient, db: None, query: str, name: str) -> None:
    response = api.get(f"{URL}?{query}")

    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == [f"/query/{name}"]


@pytest.fixture
def hundred(make_schema: Any) -> None:
    make_schema("federated", FEDERATED)
    files = training_files()
    for _ in range(100):
        execution_create(document=federated_document(patients=20), files=files)


def test_listing_a_hundred_needs_few_queries_and_no_clinical_data(api: APIClient, hundred: None) -> None:
    with CaptureQueriesContext(connection) as queries:
        response = api.get(URL)

    assert len(response.json()["results"]) == 100
    assert len(queries) <= 10
    assert not any('"entry"' in query["sql"] or '"manifest"' in query["sql"] for query in queries)


def test_an_execution_needs_few_queries(
    api: APIClient, training: Execution, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(6):
        api.get(url(training))


def test_answers_do_not_hold_clinical_data(api: APIClient, training: Execution) -> None:
    assert "breast_cancer" not in json.dumps(api.get(url(training)).json())


def test_partners_and_engines_keep_their_order(api: APIClient, make_schema: Any) -> None:
    make_schema("federated", FEDERATED)
    document = federated_document()
    partners = document["input_elements"]["platform_data"]["data_partners_patients"]
    names = list(partners)
    random.shuffle(names)
    document["input_elements"]["platform_data"]["data_partners_patients"] = {name: partners[name] for name in names}

    execution = execution_create(document=document, files=training_files())

    shown = api.get(url(execution)).json()["input_elements"]["platform_data"]["data_partners_patients"]
    assert list(shown) == names
