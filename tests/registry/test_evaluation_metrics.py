import pytest

from registry.models import EvaluationMetric
from tests.registry.samples import PATIENTS, metric, model, pointers

pytestmark = pytest.mark.django_db
URL = "/api/evaluation_metrics/"


def test_a_metric_is_answered_with_the_engine_and_version_of_its_model(api):
    made = model()
    document = {"ai_model": made.pk, "name": "auc", "value": 1, "data_partners_patients": PATIENTS}

    response = api.post(URL, document, format="json")

    assert response.status_code == 201
    answer = response.json()
    del answer["created_at"], answer["updated_at"]
    assert answer == {
        "url": f"http://testserver/api/evaluation_metrics/{answer['id']}/",
        "id": answer["id"],
        "ai_engine": f"http://testserver/api/ai_engines/{made.ai_engine_version.ai_engine_id}/",
        "ai_engine_version": f"http://testserver/api/ai_engines_versions/{made.ai_engine_version_id}/",
        "ai_model": f"http://testserver/api/ai_models/{made.pk}/",
        "name": "auc",
        "value": 1.0,
        "description": None,
        "data_partners_patients": PATIENTS,
    }


@pytest.mark.parametrize("value", ["good", "nan", "1e999", True, None, 10**309, []])
def test_a_value_is_a_number(api, value):
    document = {"ai_model": model().pk, "name": "auc", "value": value}

    assert pointers(api.post(URL, document, format="json")) == ["/data/value"]


def test_every_fault_is_told_at_once(api):
    response = api.post(URL, {"ai_model": 9, "data_partners_patients": {"": []}, "x": 1}, format="json")

    assert pointers(response) == [
        "/data/ai_model",
        "/data/data_partners_patients/",
        "/data/name",
        "/data/value",
        "/data/x",
    ]


def test_the_same_metric_twice_is_refused(api):
    row = metric()
    document = {"ai_model": row.ai_model_id, "name": "auc", "value": 0.1, "data_partners_patients": PATIENTS}

    response = api.post(URL, document, format="json")

    assert (response.status_code, pointers(response)) == (400, ["/data/name"])


def test_update_or_create(api):
    document = {"ai_model": model().pk, "name": "auc", "value": 0.5, "data_partners_patients": {"a": ["1", "2"]}}

    created = api.post(f"{URL}update_or_create/", document, format="json")
    again = {**document, "value": 0.6, "data_partners_patients": {"a": ["2", "1"]}}
    updated = api.post(f"{URL}update_or_create/", again, format="json")

    assert (created.status_code, updated.status_code) == (201, 200)
    assert (updated.json()["id"], updated.json()["value"]) == (created.json()["id"], 0.6)
    assert EvaluationMetric.objects.get().created_by == "ada"


def test_patch_and_delete(api):
    row = metric()

    assert api.patch(f"{URL}{row.pk}/", {"value": 0.25}, format="json").json()["value"] == 0.25
    assert api.delete(f"{URL}{row.pk}/").status_code == 204
    assert api.get(f"{URL}{row.pk}/").status_code == 404


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=auc", ["auc"]),
        ("value=0.5", ["f1"]),
        ("sort=value", ["f1", "auc"]),
        ("sort=-name", ["f1", "auc"]),
        ("sort=ai_model,name", ["auc", "f1"]),
    ],
)
def test_filters_and_sorts(api, query, names):
    shared = model()
    metric(shared, name="auc", value=0.9)
    metric(shared, name="f1", value=0.5)

    assert [row["name"] for row in api.get(f"{URL}?{query}").json()["results"]] == names


def test_a_filter_value_of_another_type_is_refused(api):
    assert pointers(api.get(f"{URL}?value=nan&ai_model=x")) == ["/query/ai_model", "/query/value"]
