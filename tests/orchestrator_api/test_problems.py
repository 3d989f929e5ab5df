import pytest
from rest_framework.exceptions import ErrorDetail, ValidationError

from orchestrator_api.problems import problem_of
from tests.orchestrator_api.urls import ERRORS
from web.errors import Fault

pytestmark = pytest.mark.usefixtures("failing_urls")


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("invalid", 400, "invalid-input"),
        ("state", 409, "not-allowed-in-state"),
        ("engine", 503, "service-unavailable"),
        ("manifest", 400, "invalid-input"),
        ("conflict", 409, "conflict"),
        ("missing", 404, "not-found"),
        ("row", 404, "not-found"),
        ("integrity", 409, "conflict"),
        ("data", 400, "invalid-input"),
        ("locked", 503, "service-unavailable"),
        ("full", 507, "storage-full"),
        ("large", 413, "too-large"),
        ("number", 400, "invalid-input"),
        ("validation", 400, "invalid-input"),
        ("throttled", 429, "throttled"),
        ("fault", 500, "internal-error"),
    ],
)
def test_every_error_becomes_a_problem_document(client, name, status, code):
    response = client.get(f"/api/failing/{name}/")
    problem = response.json()
    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json")
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"urn:problem:orchestrator:{code}")
    assert problem["title"]
    assert problem["detail"]
    assert not any(word in response.text for word in ("secret", "Traceback", "10.0.0.7", "patient"))


def test_every_way_to_fail_is_tried():
    tried = test_every_error_becomes_a_problem_document.pytestmark[0].args[1]
    assert {name for name, _, _ in tried} == set(ERRORS)


def test_all_faults_come_with_their_pointers(client):
    assert client.get("/api/failing/invalid/").json()["errors"] == [
        {"pointer": "/data/a", "detail": "is missing"},
        {"pointer": "/files/b", "detail": "is missing"},
    ]
    [fault] = client.get("/api/failing/manifest/").json()["errors"]
    assert fault["pointer"] == "/spec/templates/0/http"


def test_nested_details_of_the_framework_become_pointers(client):
    errors = client.get("/api/failing/validation/").json()["errors"]
    assert {error["pointer"] for error in errors} == {"/data/a/b", "/data/list/1/x~1y"}


def test_a_throttled_caller_is_told_when_to_come_back(client):
    assert client.get("/api/failing/throttled/")["Retry-After"] == "7"


def test_a_fault_of_ours_names_the_request_under_which_it_is_logged(client):
    response = client.get("/api/failing/fault/")
    assert response["X-Request-ID"] in response.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/api/nothing/", 404),
        ("get", "/api/whoami/x/y/z/", 404),
        ("post", "/api/whoami", 404),
        ("delete", "/api/whoami/", 405),
        ("get", "/api/whoami/\x00", 404),
        ("get", "/api/whoami/?a=%00", 400),
        ("get", "/health/nothing", 404),
    ],
)
def test_addresses_and_methods_that_are_not_there(client, method, path, status):
    response = getattr(client, method)(path)
    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json")


def test_a_host_that_is_not_ours_is_refused(client):
    response = client.get("/api/whoami/", headers={"host": "evil.example"})
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")


def test_bodies_that_cannot_be_read(client, counting):
    broken_form = client.post("/api/counting/", b"--x", content_type="multipart/form-data; boundary=y")
    no_boundary = client.post("/api/counting/", b"--x", content_type="multipart/form-data")
    text = client.post("/api/counting/", "a", content_type="text/plain")
    assert [r.status_code for r in (broken_form, no_boundary, text)] == [400, 400, 415]
    assert all(r["Content-Type"] == "application/problem+json" for r in (broken_form, no_boundary, text))


def test_a_document_that_is_too_large(client, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    for kind in ({"content_type": "application/json", "data": {"a": "b" * 20}}, {"data": {"data": "b" * 20}}):
        assert client.post("/api/counting/", **kind).status_code == 413


def test_pages_for_people_are_no_problem_documents(client):
    response = client.get("/nothing/")
    assert (response.status_code, response["Content-Type"].partition(";")[0]) == (404, "text/html")


def test_a_single_detail_without_a_field_is_a_fault_of_the_document():
    problem = problem_of(ValidationError([ErrorDetail("is wrong")]))
    assert list(problem.faults) == [Fault("/data", "is wrong")]
