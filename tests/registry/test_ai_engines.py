import io
import json

import pytest

from registry.models import AIEngine
from tests.registry.samples import engine, engine_data, pointers, version

pytestmark = pytest.mark.django_db
URL = "/api/ai_engines/"
FULL = {
    "name": "breast density",
    "container_name": "breast-density",
    "owner": "a hospital",
    "description": "Says how dense a breast is.",
    "data_type": ["MG", "clinical"],
    "role_type": "breast-density",
    "data_considerations": "only digital",
    "trl": "6",
    "ethics": "approved",
    "caveats": "none known",
    "metrics": "auc",
    "license": "Apache-2.0",
}


def test_a_posted_engine_is_answered_with_all_its_fields(api):
    response = api.post(URL, FULL, format="json")

    assert response.status_code == 201
    body = response.json()
    assert {name: body[name] for name in FULL} == FULL
    assert set(body) == {*FULL, "versions", "url", "id", "created_at", "updated_at"}
    assert body["url"] == response["Location"] == f"http://testserver/api/ai_engines/{body['id']}/"
    assert AIEngine.objects.get().created_by == "ada"


def test_an_engine_needs_little(api):
    body = api.post(URL, engine_data(), format="json").json()

    assert (body["owner"], body["data_type"], body["trl"]) == ("", [], None)


def test_every_fault_is_told_at_once(api):
    engine(name="taken")
    document = {"name": "taken", "data_type": ["MG", "MG"], "role_type": 5, "colour": "red", "trl": "x" * 201}

    response = api.post(URL, document, format="json")

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert pointers(response) == [
        "/data/colour",
        "/data/container_name",
        "/data/data_type",
        "/data/name",
        "/data/role_type",
        "/data/trl",
    ]


def test_a_file_beside_an_engine_is_refused(api):
    from_form = {"data": "{}", "contents": io.BytesIO(b"x")}

    assert "/files/contents" in pointers(api.post(URL, from_form, format="multipart"))


def test_a_multipart_document_does_as_well(api):

    response = api.post(URL, {"data": json.dumps(engine_data())}, format="multipart")

    assert response.status_code == 201


def test_patch_changes_what_it_names(api):
    row = engine(owner="first")

    response = api.patch(f"{URL}{row.pk}/", {"owner": "second"}, format="json")

    assert response.status_code == 200
    assert (response.json()["owner"], response.json()["name"]) == ("second", "sample")


def test_patch_to_a_taken_name_is_refused(api):
    engine(name="taken")
    row = engine(name="other")

    response = api.patch(f"{URL}{row.pk}/", {"name": "taken"}, format="json")

    assert (response.status_code, pointers(response)) == (400, ["/data/name"])


def test_put_is_not_possible(api):
    assert api.put(f"{URL}{engine().pk}/", engine_data(), format="json").status_code == 405


def test_an_engine_lists_its_versions(api, django_assert_max_num_queries):
    row = engine(name="none yet")
    first = version()
    second = version(first.ai_engine, container_version="1.1")

    with django_assert_max_num_queries(4):
        rows = {each["id"]: each["versions"] for each in api.get(URL).json()["results"]}

    expected = [f"http://testserver/api/ai_engines_versions/{each.pk}/" for each in (first, second)]
    assert rows == {row.pk: [], first.ai_engine_id: expected}
    assert api.get(f"{URL}{first.ai_engine_id}/").json()["versions"] == expected


@pytest.mark.parametrize("name", ["a", "breast-density", "team/sub.team/a_b", "a__b", "x---y", "3d-net"])
def test_a_container_is_named_as_images_are(api, name):
    assert api.post(URL, engine_data(container_name=name), format="json").status_code == 201


@pytest.mark.parametrize(
    "name", ["Breast", "a b", "a:1.0", "host:5000/a", "-a", "a-", "a//b", "/a", "a/", "a..b", "a___b", "modèle", "a\n"]
)
def test_a_container_name_that_no_image_has_is_refused(api, name):
    row = engine()

    assert pointers(api.post(URL, engine_data(name="b", container_name=name), format="json")) == [
        "/data/container_name"
    ]
    assert pointers(api.patch(f"{URL}{row.pk}/", {"container_name": name}, format="json")) == ["/data/container_name"]


@pytest.mark.parametrize(("trl", "kept"), [("1", "1"), ("9", "9"), (6, "6"), ("", ""), (None, None)])
def test_a_readiness_level_is_from_1_to_9(api, trl, kept):
    response = api.post(URL, engine_data(trl=trl), format="json")

    assert (response.status_code, response.json()["trl"]) == (201, kept)


@pytest.mark.parametrize("trl", ["0", "10", 0, 10, "-1", "high", "1.5", 1.5, "٣"])
def test_a_readiness_level_that_is_none_is_refused(api, trl):
    assert pointers(api.post(URL, engine_data(trl=trl), format="json")) == ["/data/trl"]


def test_role_and_data_types_are_those_of_the_settings(api, settings):
    settings.VALID_AI_ENGINE_ROLE_TYPES = ["classification", "segmentation"]
    settings.VALID_AI_ENGINE_DATA_TYPES = ["MG", "CT"]

    good = api.post(URL, engine_data(data_type=["CT", "MG"]), format="json")
    bad = api.post(URL, engine_data(name="b", role_type="*", data_type=["CT", "XX"]), format="json")

    assert good.status_code == 201
    assert pointers(bad) == ["/data/data_type/1", "/data/role_type"]
    assert "classification, segmentation" in bad.content.decode()


@pytest.mark.parametrize("method", ["get", "head", "delete", "patch"])
def test_what_is_not_there_is_404(api, method):
    assert getattr(api, method)(f"{URL}999999/", {} if method == "patch" else None, format="json").status_code == 404


def test_an_id_beyond_all_ids_is_404(api):
    assert api.get(f"{URL}{10**17}/").status_code == 404
    assert api.get(f"{URL}{'9' * 40}/").status_code == 404


def test_delete_answers_nothing(api):
    row = engine()

    assert api.delete(f"{URL}{row.pk}/").status_code == 204
    assert not AIEngine.objects.exists()


def test_an_engine_with_versions_stays_and_the_answer_names_them(api):
    used = version()

    response = api.delete(f"{URL}{used.ai_engine_id}/")

    assert response.status_code == 409
    assert f"AI engine version {used.pk}" in response.json()["detail"]
    assert AIEngine.objects.exists()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=b", ["b"]),
        ("container_name=c-a", ["a"]),
        ("owner=ada", ["a"]),
        ("data_type=CT", ["b"]),
        ("data_type=MG&sort=name", ["a", "b"]),
        ("data_type=M", []),
        ("role_type=r-b", ["b"]),
        ("sort=-name", ["b", "a"]),
        ("sort=data_type,name", ["b", "a"]),
        ("sort=owner", ["b", "a"]),
        ("sort=updated_at", ["a", "b"]),
        ("", ["b", "a"]),
    ],
)
def test_filters_and_sorts(api, query, names):
    engine(name="a", container_name="c-a", owner="ada", data_type=["MG"], role_type="r-a")
    engine(name="b", container_name="c-b", data_type=["CT", "MG"], role_type="r-b")

    response = api.get(f"{URL}?{query}")

    assert [row["name"] for row in response.json()["results"]] == names


def test_unknown_filters_are_refused(api):
    assert pointers(api.get(f"{URL}?colour=red&sort=size")) == ["/query/colour", "/query/sort"]
