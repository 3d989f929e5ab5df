"""What senders in the field write in another type than ours do."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.registry.samples import engine, form, json_part, model, model_files, version
from tests.services import zips

pytestmark = pytest.mark.django_db


def test_a_models_relations_and_retries_as_text(api):
    parent = model()
    document = {
        "ai_engine_version": str(parent.ai_engine_version_id),
        "name": "child",
        "parent_ai_model": str(parent.pk),
        "download_resume_retries": "7",
        "data_partners_patients": {"p1": [1, "02"]},
    }

    answer = api.post("/api/ai_models/", form(document, **model_files()), format="multipart").json()

    assert answer["parent_ai_model"].endswith(f"/ai_models/{parent.pk}/")
    assert answer["download_resume_retries"] == 7
    assert answer["data_partners_patients"] == {"p1": ["1", "02"]}


def test_a_parent_that_is_an_empty_text_is_none(api):
    row = model()

    answer = api.patch(f"/api/ai_models/{row.pk}/", {"parent_ai_model": ""}, format="json")

    assert (answer.status_code, answer.json()["parent_ai_model"]) == (200, None)


def test_a_merge_type_that_is_an_empty_text_is_none(api):
    document = {"ai_engine_version": version().pk, "name": "m", "merge_type": ""}

    answer = api.post("/api/ai_models/", form(document, **model_files()), format="multipart").json()

    assert answer["merge_type"] is None


def test_what_a_workflow_stores_is_not_lost_for_half_a_character(workflow, api):
    document = rb'{"ai_model": %d, "name": "auc", "value": 1, "description": "good \ud83d"}' % model().pk

    stored = workflow.generic(
        "POST", "/api/evaluation_metrics/update_or_create/", document, content_type="application/json"
    )
    by_hand = api.generic("POST", "/api/evaluation_metrics/", document, content_type="application/json")

    assert (stored.status_code, stored.json()["description"]) == (201, "good \ufffd")
    assert (by_hand.status_code, by_hand.json()["errors"][0]["pointer"]) == (400, "/data/description")


@pytest.mark.parametrize("path", ["", "update_or_create/"])
def test_a_metrics_value_as_text(api, path):
    document = {"ai_model": str(model().pk), "name": "auc", "value": "0.9"}

    answer = api.post(f"/api/evaluation_metrics/{path}", document, format="json")

    assert (answer.status_code, answer.json()["value"]) == (201, 0.9)


def test_a_versions_numbers_as_text_and_its_quantities_as_numbers(api):
    document = {
        "ai_engine": str(version().ai_engine_id),
        "container_version": 2,
        "functionalities": ["training_from_scratch"],
        "explains": "true",
        "max_iteration_time": "60",
        "memory_limit": 4_000_000_000,
        "cpu_limit": 2,
    }
    files = {"default_user_vars_training_from_scratch": json_part()}

    answer = api.post("/api/ai_engines_versions/", form(document, **files), format="multipart").json()

    assert (answer["container_version"], answer["explains"], answer["max_iteration_time"]) == ("2", True, 60)
    assert (answer["memory_limit"], answer["cpu_limit"]) == ("4000000000", "2")


@pytest.mark.parametrize(
    "resource", ["ai_engines", "ai_engines_versions", "ai_models", "evaluation_metrics", "generic_files"]
)
def test_every_list_is_sorted_by_id_and_has_a_last_page(api, resource):
    assert api.get(f"/api/{resource}/?sort=-id&page=last&format=json").status_code == 200


MARKED = b'\xef\xbb\xbf{"epochs": 3}'


def downloaded(api, address):
    return b"".join(api.get(address).streaming_content)


@pytest.mark.parametrize("path", ["", "update_or_create/"])
def test_a_models_user_variables_are_kept_without_a_byte_order_mark(api, path):
    files = {**model_files(), "ai_engine_version_user_vars": SimpleUploadedFile("v.json", MARKED)}
    document = {"ai_engine_version": version().pk, "name": "m"}

    answer = api.post(f"/api/ai_models/{path}", form(document, **files), format="multipart").json()

    assert downloaded(api, answer["ai_engine_version_user_vars"]) == b'{"epochs": 3}'


def test_the_same_file_with_and_without_a_mark_is_no_new_version(api):
    row = model()
    for content in (b'{"epochs": 3}', MARKED):
        part = SimpleUploadedFile("v.json", content)
        api.patch(f"/api/ai_models/{row.pk}/", form({}, ai_engine_version_user_vars=part), format="multipart")

    row.refresh_from_db()
    assert row.contents_version == 1


def test_default_user_variables_are_kept_without_a_byte_order_mark(api):
    document = {"ai_engine": engine().pk, "container_version": "1", "functionalities": ["merging_models"]}
    files = {"default_user_vars_merging_models": SimpleUploadedFile("v.json", MARKED)}

    answer = api.post("/api/ai_engines_versions/", form(document, **files), format="multipart").json()

    assert downloaded(api, answer["default_user_vars_merging_models"]) == b'{"epochs": 3}'


@pytest.mark.parametrize("content", [b"", b" \n", b"\xef\xbb\xbf"], ids=["nothing", "blank", "mark"])
def test_an_empty_json_file_is_called_empty(api, content):
    files = {**model_files(), "ai_engine_version_user_vars": SimpleUploadedFile("v.json", content)}
    document = {"ai_engine_version": version().pk, "name": "m"}

    [fault] = api.post("/api/ai_models/", form(document, **files), format="multipart").json()["errors"]

    assert fault == {"pointer": "/files/ai_engine_version_user_vars", "detail": "is empty"}


@pytest.mark.parametrize("resource", ["ai_models", "generic_files"])
@pytest.mark.parametrize(("content", "words"), [(b"", "is empty"), (zips.zipped(), "without files")])
def test_an_archive_without_a_file_is_refused(api, resource, content, words):
    files = {"contents": SimpleUploadedFile("contents", content)}
    document = {"name": "m"}
    if resource == "ai_models":
        document["ai_engine_version"] = version().pk
        files = {**model_files(), **files}

    [fault] = api.post(f"/api/{resource}/", form(document, **files), format="multipart").json()["errors"]

    assert fault["pointer"] == "/files/contents"
    assert words in fault["detail"]


def test_files_of_other_systems_zips_are_listed_and_sent(api):
    files = {"contents": SimpleUploadedFile("contents", zips.of_macos())}

    answer = api.post("/api/generic_files/", form({"name": "g"}, **files), format="multipart").json()

    assert api.get(answer["listed_contents"]).json() == {"listed_contents": ["Données/été.csv", "Données/._other"]}
    address = f"{answer['individual_contents_download']}?file_path=Données/été.csv"
    assert downloaded(api, address) == b"a,b\n"
