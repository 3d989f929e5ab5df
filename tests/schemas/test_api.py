"""The HTTP API of Schemas."""

import json

import pytest
from django.urls import reverse

from schemas.models import Schema
from tests.schemas.samples import DOCUMENT, MANIFEST, document, form, part

pytestmark = pytest.mark.django_db
URL = "/api/schemas/"


@pytest.fixture
def stored(api):
    response = api.post(URL, form(), format="multipart")
    assert response.status_code == 201, response.content
    return response.json()


def rows(*names, **fields):
    values = {
        "type": "individual",
        "implementation": "dummy",
        "input_elements": {},
        "ai_elements": {"ai_engines": []},
        "output_elements": {},
    }
    return [Schema.objects.create(name=name, **values | fields) for name in names]


def test_create_answers_the_document_with_its_addresses(stored):
    assert {key: stored[key] for key in DOCUMENT} == DOCUMENT
    assert stored["url"] == "http://testserver/api/schemas/training/"
    assert stored["auxiliary_file"] == "http://testserver/api/schemas/training/download_auxiliary_file/"
    assert set(stored) == set(DOCUMENT) | {"url", "version", "auxiliary_file", "created_at"}


def test_create_keeps_the_manifest_as_data(stored):
    assert Schema.objects.get().manifest["spec"]["entrypoint"] == "main"


def test_create_fills_in_what_may_be_left_out(api):
    data = document()
    del data["input_elements"]["report_metadata"]

    answer = api.post(URL, form(data), format="multipart").json()

    assert answer["input_elements"]["report_metadata"] is False


def test_create_takes_booleans_as_text(api):
    data = document(output_elements={"ai_model": "True", "evaluation_metrics": "false", "generic_file": False})

    answer = api.post(URL, form(data), format="multipart").json()

    assert answer["output_elements"] == {"ai_model": True, "evaluation_metrics": False, "generic_file": False}


def test_a_dummy_needs_no_file_and_takes_plain_json(api):
    response = api.post(URL, document(implementation="dummy"), format="json")

    assert response.status_code == 201
    assert response.json()["auxiliary_file"] is None


def test_retrieve_answers_what_create_did(api, stored):
    assert api.get(f"{URL}training/").json() == stored


def test_list_answers_pages(api, stored):
    rows("other")

    page = api.get(URL, {"page_size": 1}).json()

    assert page["count"] == 2
    assert [schema["name"] for schema in page["results"]] == ["other"]
    assert "page=2" in page["next"]


def test_list_shows_no_more_queries_for_more_rows(api, django_assert_max_num_queries):
    rows(*(f"schema-{i}" for i in range(30)))

    with django_assert_max_num_queries(3):
        assert len(api.get(URL).json()["results"]) == 30


def test_list_filters_and_sorts(api):
    rows("b", "a")
    rows("c", type="joint")

    def names(**query):
        return [schema["name"] for schema in api.get(URL, query).json()["results"]]

    assert names(type="individual", sort="name") == ["a", "b"]
    assert names(name="c") == ["c"]
    assert names(implementation="dummy", sort="-name") == ["c", "b", "a"]


@pytest.mark.parametrize("query", [{"colour": "red"}, {"type": "triple"}, {"sort": "description"}, {"page": "x"}])
def test_list_refuses_what_it_does_not_know(api, query):
    response = api.get(URL, query)

    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == f"/query/{next(iter(query))}"


def test_download_answers_the_file_byte_for_byte(api, stored):
    response = api.get(stored["auxiliary_file"])

    assert b"".join(response.streaming_content) == MANIFEST.encode()
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Length"] == str(len(MANIFEST))


def test_download_answers_its_length_to_head_and_a_range_to_range(api, stored):
    head = api.head(stored["auxiliary_file"])
    part_of_it = api.get(stored["auxiliary_file"], headers={"Range": "bytes=3-6"})

    assert head["Content-Length"] == str(len(MANIFEST))
    assert part_of_it.status_code == 206
    assert b"".join(part_of_it.streaming_content) == MANIFEST.encode()[3:7]


def test_download_of_a_schema_without_file_is_not_there(api):
    rows("dummy")

    assert api.get(f"{URL}dummy/download_auxiliary_file/").status_code == 404


def test_delete_removes_row_and_file(api, stored, settings, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        response = api.delete(f"{URL}training/")

    assert response.status_code == 204
    assert not Schema.objects.exists()
    assert not [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()]


@pytest.mark.parametrize("method", ["get", "delete"])
@pytest.mark.parametrize("path", ["nothing/", "%00/", "nothing/download_auxiliary_file/"])
def test_what_is_not_there_is_404(api, method, path):
    expected = 405 if method == "delete" and "download" in path else 404

    assert getattr(api, method)(URL + path).status_code == expected


@pytest.mark.parametrize("name", ["a b", "ärzte", "50%", "a?b#c", "x.y", "a:b+c@d"])
def test_names_of_all_kinds_lead_back_to_their_schema(api, name):
    created = api.post(URL, document(name=name, implementation="dummy"), format="json").json()

    assert api.get(created["url"]).json()["name"] == name


def test_anonymous_callers_are_turned_away(client):
    assert client.get(URL).status_code == 401


def test_routes_have_names():
    assert reverse("schema-detail", kwargs={"name": "x"}) == "/api/schemas/x/"


# Bad input: everything at once, each with its pointer, and nothing is stored.


def errors(response):
    assert response.status_code == 400, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert not Schema.objects.exists()
    return {error["pointer"]: error["detail"] for error in response.json()["errors"]}


@pytest.mark.parametrize(
    "data",
    ["", "{", "[]", '"text"', "null", "3", '{"name": NaN}', '{"a": 1, "a": 2}', '{"a":' * 40 + "1" + "}" * 40],
)
def test_data_that_is_no_document_is_refused(api, data):
    assert "/data" in errors(api.post(URL, form(data), format="multipart"))


def test_data_that_is_missing_is_refused(api):
    assert errors(api.post(URL, {"auxiliary_file": part()}, format="multipart")) == {"/data": "is missing"}


def test_all_faults_of_all_parts_are_told_at_once(api):
    data = document(name="", colour="red")
    del data["output_elements"]
    data["ai_elements"]["ai_engines"][0] |= {"descriptor": "a b", "functionalities": ["dreaming"]}

    found = errors(
        api.post(URL, form(data, auxiliary_file=part("kind: [1\n"), other=part(b"x", "o")), format="multipart")
    )

    at = "/data/ai_elements/ai_engines/0"
    assert set(found) == {
        "/data/name",
        "/data/colour",
        "/data/output_elements",
        f"{at}/descriptor",
        f"{at}/functionalities/0",
        "/files/other",
        "/files/auxiliary_file",
    }
    assert found["/files/auxiliary_file"].startswith("line 2, column 1: is not YAML")


@pytest.mark.parametrize("name", ["a/b", ".", "..", " a", "a ", "a\n", "a\\b", "x" * 101, "a\x7f"])
def test_names_that_no_url_could_hold_are_refused(api, name):
    assert set(errors(api.post(URL, document(name=name, implementation="dummy"), format="json"))) == {"/data/name"}


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({"external_data": True}, "external_data"),
        ({"platform_data": False, "external_data": True, "federated_learning_configuration": True}, "external_data"),
        ({"platform_data": False, "federated_learning_configuration": True}, "federated_learning_configuration"),
        ({"report_metadata": True}, "report_metadata"),
    ],
)
def test_inputs_that_exclude_each_other_are_refused(api, inputs, field):
    data = document(implementation="dummy")
    data["input_elements"] |= inputs

    assert f"/data/input_elements/{field}" in errors(api.post(URL, data, format="json"))


def test_descriptors_must_differ(api):
    data = document(implementation="dummy")
    data["ai_elements"]["ai_engines"] *= 2

    assert set(errors(api.post(URL, data, format="json"))) == {"/data/ai_elements/ai_engines/1/descriptor"}


@pytest.mark.parametrize(
    ("files", "detail"),
    [
        ({"auxiliary_file": part(b"")}, "is empty"),
        ({"auxiliary_file": part(b"a: b\n" * 200_000)}, "must have at most"),
        ({"manifest": part()}, "is missing"),
        ({"auxiliary_file": part(b"\xff\xfe\x00")}, "is not UTF-8"),
    ],
)
def test_file_parts_that_are_wrong_are_refused(api, files, detail):
    assert detail in errors(api.post(URL, form(**files), format="multipart"))["/files/auxiliary_file"]


def test_plain_json_for_a_workflow_misses_its_file(api):
    assert set(errors(api.post(URL, document(), format="json"))) == {"/files/auxiliary_file"}


def test_a_manifests_faults_name_their_place(api):
    bad = MANIFEST.replace("{{workflow.parameters.execution_id}}", "{{workflow.parameters.execution_ids}}")

    found = errors(api.post(URL, form(auxiliary_file=part(bad)), format="multipart"))

    assert found == {
        "/files/auxiliary_file#/spec/templates/0/container/args/0": "line 12, column 14: uses the parameter "
        "execution_ids, which is neither declared nor provided; did you mean execution_id?"
    }


def test_a_name_that_is_taken_is_refused(api, stored):
    response = api.post(URL, form(), format="multipart")

    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == ["/data/name"]
    assert Schema.objects.count() == 1


def test_other_methods_and_types_are_refused(api):
    assert api.put(URL, "{}", content_type="application/json").status_code == 405
    assert api.post(URL, "a=b", content_type="application/x-www-form-urlencoded").status_code == 415


def test_a_files_name_is_of_no_importance(api, settings):
    name = "../../../" + "x" * 300 + ".yaml"

    assert api.post(URL, form(auxiliary_file=part(MANIFEST, name)), format="multipart").status_code == 201
    (path,) = [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()]
    assert path.parent.name == "schemas"


def test_answers_are_json_documents(stored):
    assert json.loads(json.dumps(stored)) == stored


DEFAULTS = {"on_missing_clients": "continue", "minimum_clients": 2, "round_deadline_seconds": 600}


def with_defaults(defaults, federated=True):
    data = document()
    data["input_elements"] |= {"federated_learning_configuration": federated, "federated_learning_defaults": defaults}
    return data | {"implementation": "dummy"}


def test_a_schema_may_say_how_the_rounds_of_its_executions_go(api):
    created = api.post(URL, with_defaults(DEFAULTS), format="json").json()

    assert created["input_elements"]["federated_learning_defaults"] == DEFAULTS


def test_a_schema_that_says_nothing_of_rounds_shows_nothing_of_them(stored):
    assert "federated_learning_defaults" not in stored["input_elements"]


@pytest.mark.parametrize(
    ("defaults", "federated", "field"),
    [
        ({}, False, ""),
        ({"minimum_clients": 2}, True, "/minimum_clients"),
        ({"on_missing_clients": "continue"}, True, "/on_missing_clients"),
        ({"aggregation": "best"}, True, "/aggregation"),
        ({"number_iterations": 2}, True, "/number_iterations"),
        ({"on_missing_clients": "continue", "minimum_clients": 10**6}, True, "/minimum_clients"),
        ({"round_deadline_seconds": 10**9}, True, "/round_deadline_seconds"),
        ({"max_model_size": 10**9}, True, "/max_model_size"),
    ],
)
def test_defaults_that_no_execution_could_keep_to_are_refused(api, defaults, federated, field):
    answer = api.post(URL, with_defaults(defaults, federated), format="json")

    assert errors(answer).keys() == {f"/data/input_elements/federated_learning_defaults{field}"}


def test_what_the_engine_would_not_run_is_told_with_its_place(api):
    circle = """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
spec:
  entrypoint: main
  templates:
  - name: main
    dag:
      tasks:
      - {name: a, template: ok, dependencies: [b]}
      - {name: b, template: ok, dependencies: [a]}
  - name: ok
    container: {image: busybox, command: [echo], args: ["{{workflow.parameters.execution_id}}"]}
"""

    found = errors(api.post(URL, form(auxiliary_file=part(circle)), format="multipart"))

    ((pointer, detail),) = found.items()
    assert pointer == "/files/auxiliary_file#/spec/templates/0/dag/tasks"
    assert detail.startswith("line 8, column 7: invalid spec: ")
    assert "dependency cycle among: a, b" in detail
