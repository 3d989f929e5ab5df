import re
from pathlib import Path

import pytest
from django.test import Client, RequestFactory
from rest_framework.exceptions import ErrorDetail, ValidationError

from orchestrator_api import health, problems
from orchestrator_api.problems import Problem, csrf_failure, problem_of
from orchestrator_api.server import connections, shell
from tests.orchestrator_api.urls import ERRORS
from web.errors import Fault, InvalidInput, OrchestratorError

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


def subclasses(cls):
    return [found for sub in cls.__subclasses__() for found in (sub, *subclasses(sub))]


def test_the_reference_lists_every_code_with_its_status():
    text = (Path(__file__).parents[2] / "docs" / "reference" / "errors.md").read_text()
    rows = re.findall(r"^\| ([\d, ]+) \| (.+?) \|", text, re.MULTILINE)
    listed = {(int(status), code) for statuses, codes in rows for status in statuses.split(", ")
              for code in re.findall(r"`([^`]+)`", codes)}  # fmt: skip
    raised = {(kind.status, kind.code) for kind in subclasses(OrchestratorError)} - {(400, "not-allowed-in-state")}
    elsewhere = {(problem.status, problem.code) for module in (problems, connections, shell, health)
                 for problem in vars(module).values() if isinstance(problem, Problem)}  # fmt: skip

    assert raised | elsewhere <= listed


def test_a_detail_sums_up_the_first_faults():
    faults = [Fault(f"/data/{number}", "is missing") for number in range(5)]

    told = problem_of(InvalidInput(faults=faults)).document()

    assert told["detail"] == "/data/0: is missing; /data/1: is missing; /data/2: is missing; and 2 more"
    assert len(told["errors"]) == 5


def test_what_would_be_possible_is_told(client):
    method = client.delete("/api/whoami/")
    media_type = client.post("/api/counting/", "a", content_type="text/plain")

    assert method.json()["detail"] == 'Method "DELETE" not allowed. Allowed methods: GET, POST, HEAD, OPTIONS.'
    assert method["Allow"] == "GET, POST, HEAD, OPTIONS"
    assert media_type.json()["detail"].endswith("Accepted: multipart/form-data, application/json.")


def test_a_detail_that_is_given_stays():
    assert problem_of(InvalidInput("Too old.", [Fault("/a", "b")])).document()["detail"] == "Too old."


@pytest.mark.parametrize("name", sorted(set(ERRORS) - {"validation", "invalid"}))
def test_a_detail_says_more_than_the_title(client, name):
    problem = client.get(f"/api/failing/{name}/").json()

    assert problem["detail"] != problem["title"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:99", "a b"])
@pytest.mark.parametrize("path", ["/api/whoami/", "/nothing/", "/admin/"])
def test_a_host_that_is_not_ours_is_named(client, host, path):
    response = client.get(path, headers={"host": host})

    assert response.status_code == 400
    assert host in response.text
    assert "ALLOWED_HOSTS" in response.text


def test_a_host_is_named_as_text_on_a_page(client):
    response = client.get("/admin/", headers={"host": "<script>alert(1)</script>"})

    assert "<script>" not in response.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/api/schema/?format=xml", 404),
        ("post", "/api/schema/", 405),
        ("post", "/api/docs/", 405),
        ("post", "/health/live", 405),
        ("delete", "/health/ready", 405),
        ("get", "/api", 404),
    ],
)
def test_what_answers_no_json_refuses_by_problem_documents_too(db, method, path, status):
    caller = Client(enforce_csrf_checks=True)

    response = getattr(caller, method)(path)

    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json")
    assert response.json()["status"] == status


def test_a_session_without_its_csrf_token_is_told_so(client):
    response = csrf_failure(RequestFactory().post("/api/whoami/"))

    assert (response.status_code, response["Content-Type"]) == (403, "application/problem+json")
    assert b"CSRF" in response.content
