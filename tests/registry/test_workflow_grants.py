"""What a Workflow's callback token may do in the registry."""

import pytest

from registry.authors import Author
from registry.models import AIModel, EvaluationMetric, GenericFile
from tests.registry.samples import (
    PATIENTS,
    engine_data,
    form,
    generic_file,
    metric,
    model,
    model_files,
    version,
    zip_part,
)

pytestmark = pytest.mark.django_db
SEVEN = Author("execution:7", owns_only=True)
EIGHT = Author("execution:8", owns_only=True)


def test_it_reads_engines_versions_and_models(workflow):
    made = model()
    version_url = f"/api/ai_engines_versions/{made.ai_engine_version_id}/"
    for url in (
        f"/api/ai_engines/{made.ai_engine_version.ai_engine_id}/",
        version_url,
        f"{version_url}download_default_user_vars_training_from_scratch/",
        f"{version_url}download_user_vars_config_merging_models/",
        f"/api/ai_models/{made.pk}/",
        f"/api/ai_models/{made.pk}/download_contents/",
        f"/api/ai_models/{made.pk}/download_ai_model/",
        f"/api/ai_models/{made.pk}/download_ai_engine_version_user_vars/",
    ):
        assert workflow.head(url).status_code == 200, url
        response = workflow.get(url)
        assert response.status_code == 200, url
        assert not response.streaming or b"".join(response.streaming_content), url


def test_it_changes_no_engine_and_no_version(workflow):
    row = version()

    assert workflow.post("/api/ai_engines/", engine_data(name="x"), format="json").status_code == 403
    assert workflow.post("/api/ai_engines_versions/", {}, format="json").status_code == 403
    assert workflow.delete(f"/api/ai_engines_versions/{row.pk}/").status_code == 403
    assert workflow.patch(f"/api/ai_engines/{row.ai_engine_id}/", {}, format="json").status_code == 403


def test_it_changes_no_row_by_patch(workflow):
    row = metric(author=SEVEN)

    assert workflow.patch(f"/api/ai_models/{row.ai_model_id}/", {}, format="json").status_code == 403
    assert workflow.patch(f"/api/evaluation_metrics/{row.pk}/", {}, format="json").status_code == 403


def test_it_reads_no_archive_of_others(workflow):
    row = generic_file()

    assert workflow.get(f"/api/generic_files/{row.pk}/").status_code == 403
    assert workflow.get(f"/api/generic_files/{row.pk}/packed_contents_download/").status_code == 403


def test_what_it_stores_remembers_its_execution(workflow):
    document = {"ai_engine_version": version().pk, "name": "m", "data_partners_patients": PATIENTS}
    made = workflow.post("/api/ai_models/update_or_create/", form(document, **model_files()), format="multipart")
    score = {"ai_model": made.json()["id"], "name": "auc", "value": 0.5}
    workflow.post("/api/evaluation_metrics/update_or_create/", score, format="json")
    workflow.post("/api/generic_files/", form({"name": "g"}, contents=zip_part()), format="multipart")

    rows = [AIModel.objects.get(), EvaluationMetric.objects.get(), GenericFile.objects.get()]

    assert [row.created_by for row in rows] == ["execution:7"] * 3


def test_it_deletes_what_it_created(workflow):
    row = metric(model(author=SEVEN), author=SEVEN)
    archive = generic_file(author=SEVEN)

    assert workflow.delete(f"/api/evaluation_metrics/{row.pk}/").status_code == 204
    assert workflow.delete(f"/api/ai_models/{row.ai_model_id}/").status_code == 204
    assert workflow.delete(f"/api/generic_files/{archive.pk}/").status_code == 204


def test_it_deletes_nothing_of_others(workflow):
    row = metric(model(author=EIGHT))
    archive = generic_file(author=EIGHT)

    assert workflow.delete(f"/api/evaluation_metrics/{row.pk}/").status_code == 403
    assert workflow.delete(f"/api/ai_models/{row.ai_model_id}/").status_code == 403
    assert workflow.delete(f"/api/generic_files/{archive.pk}/").status_code == 403


def test_it_changes_and_deletes_no_metric_of_others(workflow):
    row = metric()
    document = {"ai_model": row.ai_model_id, "name": "auc", "value": 0.1, "data_partners_patients": PATIENTS}

    updated = workflow.post("/api/evaluation_metrics/update_or_create/", document, format="json")

    row.refresh_from_db()
    assert (updated.status_code, row.value) == (403, 0.9)
    assert workflow.delete(f"/api/evaluation_metrics/{row.pk}/").status_code == 403


def test_a_metric_of_others_that_says_the_same_is_good_enough(workflow):
    row = metric()
    document = {"ai_model": row.ai_model_id, "name": "auc", "value": 0.9, "data_partners_patients": PATIENTS}

    answer = workflow.post("/api/evaluation_metrics/update_or_create/", document, format="json")

    row.refresh_from_db()
    assert (answer.status_code, answer.json()["id"], row.created_by) == (200, row.pk, "ada")


def test_its_model_stays_when_others_replaced_its_contents(workflow, api):
    row = model(author=SEVEN)
    api.patch(f"/api/ai_models/{row.pk}/", form({}, contents=zip_part({"new": b"n"})), format="multipart")

    assert workflow.delete(f"/api/ai_models/{row.pk}/").status_code == 409


def test_its_model_stays_when_others_measured_it(workflow):
    row = metric(model(author=SEVEN))

    assert workflow.delete(f"/api/ai_models/{row.ai_model_id}/").status_code == 409
    assert EvaluationMetric.objects.exists()


def test_anonymous_callers_get_401(client):
    for resource in ("ai_engines", "ai_engines_versions", "ai_models", "evaluation_metrics", "generic_files"):
        assert client.get(f"/api/{resource}/").status_code == 401
