"""A Workflow changes and deletes in the registry only what its own execution made; what was stored stays."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from registry.authors import Author
from registry.models import AIModel, EvaluationMetric, GenericFile
from tests.registry.samples import PATIENTS, form, generic_file, json_part, metric, model, zip_bytes, zip_part
from web.grants import Role, WorkflowGrant

pytestmark = pytest.mark.django_db
MINE = Author("execution:7", owns_only=True)
OTHERS = [Author("execution:8", owns_only=True), Author("execution:70", owns_only=True), Author("ada"), Author("")]
UPSERT_MODEL, UPSERT_METRIC = "/api/ai_models/update_or_create/", "/api/evaluation_metrics/update_or_create/"


def workflow(attempt: int = 1, role: Role = Role.MAIN) -> APIClient:
    client = APIClient()
    client.force_authenticate(token=WorkflowGrant("execution", 7, attempt, f"execution-7-{attempt}-abcdef", role))  # type: ignore[arg-type]
    return client


def document(row: AIModel, **changed: Any) -> dict[str, Any]:
    return {
        "ai_engine_version": row.ai_engine_version_id,
        "name": row.name,
        "data_partners_patients": PATIENTS,
        **changed,
    }


def upsert(client: APIClient, row: AIModel, word: bytes = b"stolen", **changed: Any) -> Any:
    files = {"contents": zip_part({"model": word}), "ai_engine_version_user_vars": json_part()}
    return client.post(UPSERT_MODEL, form(document(row, **changed), **files), format="multipart")


def stored() -> set[str]:
    return {f"{folder}/{name}" for folder in ("registry/ai_models", "registry/ai_model_user_vars")
            for name in default_storage.listdir(folder)[1]}  # fmt: skip


def contents(client: APIClient, row: AIModel, query: str = "") -> bytes:
    answer = client.get(f"/api/ai_models/{row.pk}/download_contents/{query}")
    assert answer.status_code == 200
    return bytes(answer.getvalue())


@pytest.mark.parametrize("author", OTHERS)
@pytest.mark.parametrize("role", [Role.MAIN, Role.SERVER, Role.WORKFLOW])
def test_a_workflow_overwrites_no_model_of_another(author: Author, role: Role) -> None:
    row = model(author=author)
    before = AIModel.objects.values().get(), stored()

    answer = upsert(workflow(role=role), row, description="mine now")

    assert answer.status_code == 403
    assert f"{row.pk}" in answer.json()["detail"]
    assert (AIModel.objects.values().get(), stored()) == before


@pytest.mark.parametrize("author", OTHERS)
def test_a_workflow_overwrites_no_metric_of_another(author: Author) -> None:
    row = metric(author=author)
    before = EvaluationMetric.objects.values().get()
    forged = {"ai_model": row.ai_model_id, "name": row.name, "value": 1.0, "data_partners_patients": PATIENTS}

    assert workflow().post(UPSERT_METRIC, forged, format="json").status_code == 403
    assert EvaluationMetric.objects.values().get() == before


def test_a_workflow_gives_no_description_to_a_metric_of_another() -> None:
    row = metric(author=OTHERS[0])
    same = {"ai_model": row.ai_model_id, "name": row.name, "value": row.value, "data_partners_patients": PATIENTS}

    answers = [workflow().post(UPSERT_METRIC, {**same, **more}, format="json") for more in ({}, {"description": "x"})]

    assert [answer.status_code for answer in answers] == [200, 403]
    assert EvaluationMetric.objects.get().created_by == "execution:8"


@pytest.mark.parametrize("author", OTHERS)
def test_a_workflow_deletes_nothing_of_another(author: Author) -> None:
    row, archive = metric(model(author=author), author=author), generic_file(author=author)

    for url in (
        f"/api/evaluation_metrics/{row.pk}/",
        f"/api/ai_models/{row.ai_model_id}/",
        f"/api/generic_files/{archive.pk}/",
        f"/api/ai_engines_versions/{row.ai_model.ai_engine_version_id}/",
        f"/api/ai_engines/{row.ai_model.ai_engine_version.ai_engine_id}/",
    ):
        assert workflow().delete(url).status_code == 403, url
    assert (AIModel.objects.count(), EvaluationMetric.objects.count(), GenericFile.objects.count()) == (1, 1, 1)


@pytest.mark.parametrize("resource", ["ai_models", "evaluation_metrics", "ai_engines_versions", "ai_engines"])
def test_a_workflow_changes_no_row_by_its_address(resource: str) -> None:
    row = metric(model(author=MINE), author=MINE)
    ids = {
        "ai_models": row.ai_model_id,
        "evaluation_metrics": row.pk,
        "ai_engines_versions": row.ai_model.ai_engine_version_id,
        "ai_engines": row.ai_model.ai_engine_version.ai_engine_id,
    }

    answer = workflow().patch(f"/api/{resource}/{ids[resource]}/", {"description": "x"}, format="json")

    assert answer.status_code == 403


def test_a_workflow_takes_no_models_name_by_posting_it_anew() -> None:
    row = model(author=OTHERS[0])
    files = {"contents": zip_part(), "ai_engine_version_user_vars": json_part()}

    answer = workflow().post("/api/ai_models/", form(document(row), **files), format="multipart")

    assert answer.status_code == 400
    assert AIModel.objects.get().created_by == "execution:8"


def test_a_later_attempt_stores_new_contents_under_the_same_id(api: APIClient) -> None:
    first = upsert(workflow(attempt=1), made := model(), b"first", name="its own")
    row = AIModel.objects.get(pk=first.json()["id"])

    later = upsert(workflow(attempt=2), made, b"second", name="its own", description="better")

    assert (first.status_code, later.status_code, later.json()["id"]) == (201, 200, row.pk)
    assert set(first.json()) == set(later.json())
    assert contents(api, row) == contents(api, row, "?version=2") != contents(api, row, "?version=1")
    row.refresh_from_db()
    assert (row.created_by, row.contents_by, row.contents_version) == ("execution:7", "execution:7", 2)


@pytest.mark.parametrize("way", ["person's PATCH", "person's update_or_create", "Workflow's update_or_create"])
def test_what_was_stored_once_stays_as_it_was(api: APIClient, way: str) -> None:
    row = model(author=MINE)
    before = contents(api, row)
    part = {"contents": SimpleUploadedFile("contents", zip_bytes({"model": b"other"}))}

    if way == "person's PATCH":
        answer = api.patch(f"/api/ai_models/{row.pk}/", form({}, **part), format="multipart")
    else:
        answer = upsert(api if way.startswith("person") else workflow(), row, b"other")

    assert answer.status_code == 200
    assert contents(api, row) != before
    assert contents(api, row, "?version=1") == before
    assert row.earlier_contents.get().stored_by == "execution:7"


def test_a_workflow_does_not_delete_what_others_put_into_its_model(api: APIClient) -> None:
    row = model(author=MINE)
    upsert(api, row, b"a person's")

    assert workflow().delete(f"/api/ai_models/{row.pk}/").status_code == 409
    assert AIModel.objects.filter(pk=row.pk).exists()
