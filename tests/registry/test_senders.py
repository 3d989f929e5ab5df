"""What senders in the field write in another type than ours do."""

import pytest

from tests.registry.samples import form, json_part, model, model_files, version

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


@pytest.mark.parametrize("path", ["", "update_or_create/"])
def test_a_metrics_value_as_text(api, path):
    document = {"ai_model": str(model().pk), "name": "auc", "value": "0.9"}

    answer = api.post(f"/api/evaluation_metrics/{path}", document, format="json")

    assert (answer.status_code, answer.json()["value"]) == (201, 0.9)


def test_a_versions_numbers_as_text_and_its_quantities_as_numbers(api):
    engine = version().ai_engine_id
    document = {
        "ai_engine": str(engine),
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
