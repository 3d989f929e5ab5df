import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile

from registry.models import AIEngineVersion, DefaultUserVars
from tests.registry.samples import engine, form, json_part, model, pointers, version

pytestmark = pytest.mark.django_db
URL = "/api/ai_engines_versions/"


def stored_user_vars():
    try:
        return default_storage.listdir("registry/default_user_vars")[1]
    except FileNotFoundError:
        return []


def data(**changes):
    return {"ai_engine": engine().pk, "container_version": "1.0", "functionalities": ["merging_models"], **changes}


def test_a_version_has_the_contracts_defaults(api):
    body = form(data(), default_user_vars_merging_models=json_part())

    response = api.post(URL, body, format="multipart")

    assert response.status_code == 201
    answer = response.json()
    url = f"http://testserver/api/ai_engines_versions/{answer['id']}/"
    del answer["created_at"], answer["updated_at"]
    assert answer == {
        "url": url,
        "id": answer["id"],
        "ai_engine": f"http://testserver/api/ai_engines/{AIEngineVersion.objects.get().ai_engine_id}/",
        "container_version": "1.0",
        "description": "",
        "functionalities": ["merging_models"],
        "explains": False,
        "max_iteration_time": 1200,
        "memory_request": "3584Mi",
        "memory_limit": "3584Mi",
        "cpu_request": "250m",
        "cpu_limit": "4000m",
        "default_user_vars_merging_models": f"{url}download_user_vars_config_merging_models/",
    }


def test_user_vars_come_back_byte_for_byte(api):
    row = version(functionalities=["training_from_scratch", "merging_models"])
    body = api.get(f"{URL}{row.pk}/").json()

    answer = api.get(body["default_user_vars_training_from_scratch"])

    assert b"".join(answer.streaming_content) == b'{"for": "training_from_scratch"}'
    assert answer["Content-Length"] == "32"
    assert b"".join(api.get(body["default_user_vars_merging_models"]).streaming_content) == b'{"for": "merging_models"}'


def test_head_and_range_of_user_vars(api):
    url = f"{URL}{version().pk}/download_default_user_vars_training_from_scratch/"

    assert api.head(url)["Content-Length"] == "32"
    part = api.get(url, headers={"Range": "bytes=2-4"})

    assert (part.status_code, b"".join(part.streaming_content)) == (206, b"for")


def test_user_vars_of_a_functionality_it_lacks_are_404(api):
    assert api.get(f"{URL}{version().pk}/download_default_user_vars_nothing/").status_code == 404


def test_each_functionality_needs_its_file_and_no_other_may_come(api):
    body = form(
        data(functionalities=["training_from_scratch"]),
        default_user_vars_merging_models=json_part(),
        contents=json_part(),
    )

    response = api.post(URL, body, format="multipart")

    assert response.status_code == 400
    assert pointers(response) == [
        "/files/contents",
        "/files/default_user_vars_merging_models",
        "/files/default_user_vars_training_from_scratch",
    ]
    assert stored_user_vars() == []


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[NaN]", b"[" * 100_000])
def test_user_vars_that_are_no_json_are_refused(api, content):
    body = form(data(), default_user_vars_merging_models=SimpleUploadedFile("x", content))

    assert pointers(api.post(URL, body, format="multipart")) == ["/files/default_user_vars_merging_models"]


def test_every_fault_of_the_fields_is_told_at_once(api):
    document = {
        "ai_engine": 999,
        "functionalities": ["flying"],
        "max_iteration_time": 0,
        "memory_request": "much",
        "cpu_request": "9000m",
        "explains": "yes",
    }

    response = api.post(URL, form(document), format="multipart")

    assert pointers(response) == [
        "/data/ai_engine",
        "/data/container_version",
        "/data/cpu_request",
        "/data/explains",
        "/data/functionalities/0",
        "/data/max_iteration_time",
        "/data/memory_request",
    ]


def test_an_iteration_of_years_is_refused(api):
    response = api.post(
        URL, form(data(max_iteration_time=10**9), default_user_vars_merging_models=json_part()), format="multipart"
    )

    assert pointers(response) == ["/data/max_iteration_time"]


def test_a_request_above_its_limit_is_refused(api):
    document = data(memory_request="2Gi", memory_limit="1Gi")

    response = api.post(URL, form(document, default_user_vars_merging_models=json_part()), format="multipart")

    assert pointers(response) == ["/data/memory_request"]


def test_a_limit_below_the_default_request_lowers_the_request():
    row = version(memory_limit="1Gi", cpu_limit="100m")

    assert (row.memory_request, row.cpu_request) == ("1Gi", "100m")


def test_the_same_version_twice_is_refused_at_its_key(api):
    row = version()
    body = form(
        {"ai_engine": row.ai_engine_id, "container_version": "1.0", "functionalities": ["merging_models"]},
        default_user_vars_merging_models=json_part(),
    )

    response = api.post(URL, body, format="multipart")

    assert (response.status_code, pointers(response)) == (400, ["/data/container_version"])
    assert f"version {row.pk}" in response.json()["errors"][0]["detail"]


def test_patch_takes_plain_json_where_no_file_is_needed(api):
    row = version()

    response = api.patch(f"{URL}{row.pk}/", {"description": "new", "explains": True}, format="json")

    assert response.status_code == 200
    assert (response.json()["description"], response.json()["explains"]) == ("new", True)


def test_patch_replaces_adds_and_drops_files(api, django_capture_on_commit_callbacks):
    row = version(functionalities=["training_from_scratch", "merging_models"])
    body = form(
        {"functionalities": ["merging_models", "evaluating_from_pretrained_model"]},
        default_user_vars_merging_models=json_part({"new": 1}),
        default_user_vars_evaluating_from_pretrained_model=json_part(),
    )

    with django_capture_on_commit_callbacks(execute=True):
        response = api.patch(f"{URL}{row.pk}/", body, format="multipart")

    assert response.status_code == 200
    answer = response.json()
    assert "default_user_vars_training_from_scratch" not in answer
    assert "default_user_vars_evaluating_from_pretrained_model" in answer
    assert b"".join(api.get(answer["default_user_vars_merging_models"]).streaming_content) == b'{"new": 1}'
    assert len(stored_user_vars()) == DefaultUserVars.objects.count() == 2


def test_patch_to_a_functionality_without_file_is_refused(api):
    row = version(functionalities=["merging_models"])

    response = api.patch(f"{URL}{row.pk}/", {"functionalities": ["training_from_scratch"]}, format="json")

    assert pointers(response) == ["/files/default_user_vars_training_from_scratch"]


def test_delete_takes_the_files_after_the_commit(api, django_capture_on_commit_callbacks):
    row = version()

    with django_capture_on_commit_callbacks(execute=True):
        response = api.delete(f"{URL}{row.pk}/")

    assert response.status_code == 204
    assert stored_user_vars() == []


def test_a_version_with_models_stays_with_its_files(api, django_capture_on_commit_callbacks):
    made = model(name="dense")

    with django_capture_on_commit_callbacks(execute=True):
        response = api.delete(f"{URL}{made.ai_engine_version_id}/")

    assert response.status_code == 409
    assert f"AI model {made.pk} (dense)" in response.json()["detail"]
    assert len(stored_user_vars()) == 2


@pytest.mark.parametrize(
    ("query", "versions"),
    [
        ("container_version=2", ["2"]),
        ("sort=container_version", ["1", "2"]),
        ("sort=-ai_engine,container_version", ["1", "2"]),
    ],
)
def test_filters_and_sorts(api, query, versions):
    shared = engine()
    version(shared, container_version="1")
    version(shared, container_version="2")

    rows = api.get(f"{URL}?{query}").json()["results"]

    assert [row["container_version"] for row in rows] == versions


@pytest.mark.parametrize("tag", ["latest", "1.0.2-rc_1", "_a"])
def test_a_version_is_named_as_tags_are(api, tag):
    assert (
        api.post(
            URL, form(data(container_version=tag), default_user_vars_merging_models=json_part()), format="multipart"
        ).status_code
        == 201
    )


@pytest.mark.parametrize("tag", ["1.0 beta", "-1", ".1", "1:2", "v/1", "é"])
def test_a_tag_that_no_image_has_is_refused(api, tag):
    response = api.post(
        URL, form(data(container_version=tag), default_user_vars_merging_models=json_part()), format="multipart"
    )

    assert pointers(response) == ["/data/container_version"]


def test_filter_by_engine(api):
    wanted = version(engine(name="a"))
    version(engine(name="b"))

    rows = api.get(f"{URL}?ai_engine={wanted.ai_engine_id}").json()["results"]

    assert [row["id"] for row in rows] == [wanted.pk]
    assert pointers(api.get(f"{URL}?ai_engine=a")) == ["/query/ai_engine"]
    assert pointers(api.get(f"{URL}?ai_engine={10**25}")) == ["/query/ai_engine"]
