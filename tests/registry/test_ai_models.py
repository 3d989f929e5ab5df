import json
from codecs import BOM_UTF8

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile

from registry.models import AIModel
from tests.registry.samples import (
    PATIENTS,
    engine,
    form,
    json_part,
    metric,
    model,
    model_files,
    pointers,
    version,
    zip_bytes,
    zip_part,
)

pytestmark = pytest.mark.django_db
URL = "/api/ai_models/"


def stored(folder="registry/ai_models"):
    try:
        return default_storage.listdir(folder)[1]
    except FileNotFoundError:
        return []


def data(**changes):
    return {"ai_engine_version": version().pk, "name": "m", "data_partners_patients": PATIENTS, **changes}


def test_a_posted_model_is_answered_with_urls(api):
    document = data(description="d", merge_type="default")

    response = api.post(URL, form(document, **model_files()), format="multipart")

    assert response.status_code == 201
    row = AIModel.objects.get()
    url = f"http://testserver/api/ai_models/{row.pk}/"
    answer = response.json()
    del answer["created_at"], answer["updated_at"]
    assert answer == {
        "url": url,
        "id": row.pk,
        "ai_engine": f"http://testserver/api/ai_engines/{row.ai_engine_version.ai_engine_id}/",
        "ai_engine_version": f"http://testserver/api/ai_engines_versions/{row.ai_engine_version_id}/",
        "ai_engine_version_user_vars": f"{url}download_ai_engine_version_user_vars/",
        "name": "m",
        "data_partners_patients": PATIENTS,
        "merge_type": "default",
        "parent_ai_model": None,
        "description": "d",
        "download_resume_retries": 4,
        "contents": f"{url}download_contents/",
    }


def test_ids_of_patients_are_kept_as_text():
    assert model(data_partners_patients={"p1": [1, "2"]}).data_partners_patients == {"p1": ["1", "2"]}


@pytest.mark.parametrize("name", ["download_contents", "download_ai_model"])
def test_contents_are_downloaded_whole_and_in_part(api, name):
    row = model()
    whole = zip_bytes()
    url = f"{URL}{row.pk}/{name}/"

    answer = api.get(url)
    rest = api.get(url, headers={"Range": "bytes=10-"})

    assert int(api.head(url)["Content-Length"]) == int(answer["Content-Length"]) == row.contents.size
    content = b"".join(answer.streaming_content)
    assert content[:2] == whole[:2] == b"PK"
    assert (rest.status_code, b"".join(rest.streaming_content)) == (206, content[10:])
    assert api.get(url, headers={"Range": "bytes=99999999-"}).status_code == 416


def test_user_vars_are_downloaded(api):
    answer = api.get(f"{URL}{model().pk}/download_ai_engine_version_user_vars/")

    assert b"".join(answer.streaming_content) == b'{"epochs": 3}'


def test_user_vars_are_downloaded_without_a_byte_order_mark(api):
    files = model_files() | {"ai_engine_version_user_vars": SimpleUploadedFile("u", BOM_UTF8 + b'{"epochs": 3}')}
    data = {"ai_engine_version": version().pk, "name": "marked"}

    made = api.post(URL, form(data, **files), format="multipart").json()

    answer = api.get(f"{URL}{made['id']}/download_ai_engine_version_user_vars/")
    assert b"".join(answer.streaming_content) == b'{"epochs": 3}'


def test_every_fault_is_told_at_once(api):
    document = {
        "ai_engine_version": 999,
        "parent_ai_model": 998,
        "name": " ",
        "data_partners_patients": {"p1": ["1", True, None], "p2": "3", "p3": ["4", 4]},
        "download_resume_retries": -1,
    }
    files = {"contents": SimpleUploadedFile("contents", b"no zip"), "extra": json_part()}

    response = api.post(URL, form(document, **files), format="multipart")

    assert response.status_code == 400
    assert pointers(response) == [
        "/data/ai_engine_version",
        "/data/data_partners_patients/p1/1",
        "/data/data_partners_patients/p1/2",
        "/data/data_partners_patients/p2",
        "/data/data_partners_patients/p3",
        "/data/download_resume_retries",
        "/data/name",
        "/data/parent_ai_model",
        "/files/ai_engine_version_user_vars",
        "/files/contents",
        "/files/extra",
    ]
    assert (stored(), AIModel.objects.count()) == ([], 0)


@pytest.mark.parametrize("document", [[], 3, "x", None, {"data_partners_patients": {"p": 1}, "name": []}])
def test_data_of_any_other_shape_is_refused(api, document):
    assert api.post(URL, form(document, **model_files()), format="multipart").status_code == 400


@pytest.mark.parametrize("number", [2**63, -1, 0, 1.5, True, "one", "1.0", "-1", 10**400])
def test_relations_are_ids(api, number):
    response = api.post(URL, form(data(ai_engine_version=number), **model_files()), format="multipart")

    assert "/data/ai_engine_version" in pointers(response)


def test_an_archive_that_leaves_its_folder_is_refused(api):
    files = {**model_files(), "contents": zip_part({"../../etc/passwd": b"x"})}

    response = api.post(URL, form(data(), **files), format="multipart")

    assert pointers(response) == ["/files/contents"]


def test_the_same_model_twice_is_refused_whatever_the_order_of_its_patients(api):
    first = model(data_partners_patients={"a": ["1", "2"], "b": ["3"]})
    document = {
        "ai_engine_version": first.ai_engine_version_id,
        "name": "m",
        "data_partners_patients": {"b": ["3"], "a": ["2", "1"]},
    }

    response = api.post(URL, form(document, **model_files()), format="multipart")

    assert (response.status_code, pointers(response)) == (400, ["/data/name"])
    assert len(stored()) == 1


def test_update_or_create_creates_then_updates(api, django_capture_on_commit_callbacks):
    document = data(description="first", merge_type="default")
    created = api.post(f"{URL}update_or_create/", form(document, **model_files()), format="multipart")
    files = {**model_files(), "contents": zip_part({"other": b"1"})}

    with django_capture_on_commit_callbacks(execute=True):
        updated = api.post(
            f"{URL}update_or_create/", form({**document, "description": "second"}, **files), format="multipart"
        )

    assert (created.status_code, updated.status_code) == (201, 200)
    assert created.json()["id"] == updated.json()["id"]
    assert set(created.json()) == set(updated.json())
    assert updated.json()["description"] == "second"
    row = AIModel.objects.get()
    earlier = row.earlier_contents.get()
    assert sorted(stored()) == sorted(each.contents.name.rpartition("/")[2] for each in (row, earlier))
    assert row.updated_at > row.created_at


def test_patch_changes_fields_by_json_and_files_by_multipart(api, django_capture_on_commit_callbacks):
    row = model()

    by_json = api.patch(f"{URL}{row.pk}/", {"merge_type": "fedavg"}, format="json")
    with django_capture_on_commit_callbacks(execute=True):
        by_form = api.patch(f"{URL}{row.pk}/", form({}, contents=zip_part({"new": b"n"})), format="multipart")

    assert (by_json.status_code, by_json.json()["merge_type"]) == (200, "fedavg")
    assert (by_form.status_code, by_form.json()["merge_type"]) == (200, "fedavg")
    assert (len(stored()), len(stored("registry/ai_model_user_vars"))) == (2, 1)
    row.refresh_from_db()
    assert b"new" in row.contents.read()
    row.contents.close()


def downloaded(api, row, name="download_contents", query=""):
    answer = api.get(f"{URL}{row.pk}/{name}/{query}")
    assert answer.status_code == 200
    return b"".join(answer.streaming_content)


def test_what_was_stored_stays_as_an_earlier_version(api, person):
    row = model()
    before = downloaded(api, row)

    for word in (b"2", b"3"):
        api.patch(f"{URL}{row.pk}/", form({}, contents=zip_part({"new": word})), format="multipart")

    row.refresh_from_db()
    assert (row.contents_version, row.contents_by, row.created_by) == (3, person.username, "ada")
    assert downloaded(api, row, query="?version=1") == before
    assert downloaded(api, row) == downloaded(api, row, query="?version=3") == zip_bytes({"new": b"3"})
    assert [each.stored_by for each in row.earlier_contents.order_by("version")] == ["ada", person.username]


def test_a_version_of_the_user_variables_is_downloaded_too(api):
    row = model()
    api.patch(f"{URL}{row.pk}/", form({}, ai_engine_version_user_vars=json_part({"epochs": 9})), format="multipart")

    name = "download_ai_engine_version_user_vars"

    assert json.loads(downloaded(api, row, name)) == {"epochs": 9}
    assert json.loads(downloaded(api, row, name, "?version=1")) == {"epochs": 3}


@pytest.mark.parametrize(("version", "status"), [("2", 404), ("0", 404), ("x", 400), ("-1", 400), ("", 400)])
def test_a_version_that_is_not_there(api, version, status):
    assert api.get(f"{URL}{model().pk}/download_contents/?version={version}").status_code == status


def test_the_same_files_once_more_are_no_new_version(api):
    document, files = data(), {name: file.read() for name, file in model_files().items()}

    def send():
        parts = {name: SimpleUploadedFile(name, content) for name, content in files.items()}
        return api.post(f"{URL}update_or_create/", form(document, **parts), format="multipart")

    first, second = send(), send()

    assert (first.status_code, second.status_code) == (201, 200)
    assert (AIModel.objects.get().contents_version, len(stored())) == (1, 1)


def test_all_versions_go_with_their_model(api, django_capture_on_commit_callbacks):
    row = model()
    api.patch(f"{URL}{row.pk}/", form({}, contents=zip_part({"new": b"n"})), format="multipart")

    with django_capture_on_commit_callbacks(execute=True):
        assert api.delete(f"{URL}{row.pk}/").status_code == 204

    assert (stored(), stored("registry/ai_model_user_vars")) == ([], [])


def test_patch_of_the_patients_moves_the_key(api):
    row = model(data_partners_patients={"a": ["1"]})
    other = model(row.ai_engine_version, data_partners_patients={"a": ["2"]})

    clash = api.patch(f"{URL}{other.pk}/", {"data_partners_patients": {"a": ["1"]}}, format="json")
    moved = api.patch(f"{URL}{other.pk}/", {"data_partners_patients": {"a": ["3"]}}, format="json")

    assert (clash.status_code, pointers(clash)) == (400, ["/data/name"])
    assert moved.status_code == 200
    assert model(row.ai_engine_version, data_partners_patients={"a": ["2"]}).pk


def test_a_model_cannot_descend_from_itself(api):
    first = model()
    second = model(first.ai_engine_version, name="child", parent_ai_model=first.pk)

    response = api.patch(f"{URL}{first.pk}/", {"parent_ai_model": second.pk}, format="json")

    assert pointers(response) == ["/data/parent_ai_model"]
    assert api.get(f"{URL}{second.pk}/").json()["parent_ai_model"].endswith(f"/api/ai_models/{first.pk}/")


def test_delete_takes_metrics_and_files(api, django_capture_on_commit_callbacks):
    row = metric().ai_model

    with django_capture_on_commit_callbacks(execute=True):
        response = api.delete(f"{URL}{row.pk}/")

    assert response.status_code == 204
    assert stored() == stored("registry/ai_model_user_vars") == []


def test_a_parent_stays(api):
    first = model()
    model(first.ai_engine_version, name="child", parent_ai_model=first.pk)

    response = api.delete(f"{URL}{first.pk}/")

    assert (response.status_code, "(child)" in response.json()["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=a", ["a"]),
        ("merge_type=x", ["b"]),
        ("sort=name", ["a", "b"]),
        ("sort=-merge_type", ["b", "a"]),
        ("sort=-name,created_at&page_size=1", ["b"]),
        ("sort=ai_engine_version,parent_ai_model,name", ["a", "b"]),
    ],
)
def test_filters_and_sorts(api, query, names):
    shared = version()
    model(shared, name="a")
    model(shared, name="b", merge_type="x")

    assert [row["name"] for row in api.get(f"{URL}?{query}").json()["results"]] == names


def test_filters_by_relation(api):
    parent = model()
    child = model(parent.ai_engine_version, name="child", parent_ai_model=parent.pk)
    model(version(engine(name="other")))

    def ids(query):
        return {row["id"] for row in api.get(f"{URL}?{query}").json()["results"]}

    assert ids(f"ai_engine={parent.ai_engine_version.ai_engine_id}") == {parent.pk, child.pk}
    assert ids(f"ai_engine_version={parent.ai_engine_version_id}") == {parent.pk, child.pk}
    assert ids(f"parent_ai_model={parent.pk}") == {child.pk}
