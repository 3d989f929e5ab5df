"""Lists cost the same few queries however many rows they show."""

import pytest

from registry.models import AIEngine, AIEngineVersion, AIModel, DefaultUserVars, EvaluationMetric, GenericFile

pytestmark = pytest.mark.django_db
RESOURCES = ["ai_engines", "ai_engines_versions", "ai_models", "evaluation_metrics", "generic_files"]


@pytest.fixture
def hundred_of_each():
    engines = AIEngine.objects.bulk_create(
        AIEngine(name=f"e{n}", container_name="c", role_type="r", data_type=["MG"]) for n in range(100)
    )
    versions = AIEngineVersion.objects.bulk_create(
        AIEngineVersion(ai_engine=row, container_version="1", functionalities=["merging_models"]) for row in engines
    )
    DefaultUserVars.objects.bulk_create(
        DefaultUserVars(version=row, functionality="merging_models", contents="x.json") for row in versions
    )
    patients = {f"p{partner}": [str(n) for n in range(50)] for partner in range(3)}
    models = AIModel.objects.bulk_create(
        AIModel(ai_engine_version=row, name="m", data_partners_patients=patients, data_hash="h") for row in versions
    )
    EvaluationMetric.objects.bulk_create(
        EvaluationMetric(ai_model=row, name="auc", value=0.5, data_partners_patients=patients, data_hash="h")
        for row in models
    )
    GenericFile.objects.bulk_create(GenericFile(name="g", contents="x.zip") for _ in range(100))


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_list_of_a_hundred_rows_needs_few_queries(api, hundred_of_each, resource, django_assert_max_num_queries):
    with django_assert_max_num_queries(3):
        response = api.get(f"/api/{resource}/")

    assert response.status_code == 200
    assert (response.json()["count"], len(response.json()["results"])) == (100, 100)


@pytest.mark.parametrize("resource", RESOURCES)
def test_the_newest_comes_first_and_pages_follow_each_other(api, hundred_of_each, resource):
    first = api.get(f"/api/{resource}/?page_size=60").json()
    second = api.get(first["next"]).json()

    ids = [row["id"] for row in first["results"] + second["results"]]

    assert (first["previous"], second["next"]) == (None, None)
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 100


@pytest.mark.parametrize("resource", RESOURCES)
def test_head_of_a_list(api, resource):
    assert api.head(f"/api/{resource}/").status_code == 200
