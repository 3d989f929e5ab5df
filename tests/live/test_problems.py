"""Whatever is wrong with a request, and whoever notices it first: the answer is a problem that says what is wrong."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from http.client import HTTPResponse
from typing import Any

import pytest

from usage_scripts.local_service import LocalService

pytestmark = pytest.mark.live
LIST = "/api/executions/"
JSON = {"Content-Type": "application/json"}


def sent(
    service: LocalService, method: str, path: str, headers: Mapping[str, str] | None = None, body: str = ""
) -> Any:
    """Send a request as it is, whatever a client library would make of it; return status, content type and body."""
    host, port = service.url.removeprefix("http://").split(":")
    named = {"Host": f"{host}:{port}", "Authorization": f"Bearer {service.token}", **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n{body}".encode("latin-1"))
        answer = HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.headers["Content-Type"], answer.read()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", f"{LIST}?search={'a' * 9000}", {}, 414),
        ("GET", LIST, {"X-Long": "a" * 70_000}, 431),
        ("GET", LIST, {f"X-{number}": "a" for number in range(120)}, 431),
        ("GET", LIST, {"Host": "evil.example"}, 400),
        ("GET", LIST, {"Host": "a b"}, 400),
        ("BREW", LIST, {}, 400),
        ("CONNECT", "example.org:80", {}, 400),
        ("OPTIONS", "*", {}, 404),
        ("GET", "http://[::1/api/", {}, 400),
        ("GET", "/api/\x01/", {}, 400),
        ("GET", "/api/%00/", {}, 404),
        ("GET", f"{LIST}?q=%00", {}, 400),
        ("GET", "/api", {}, 404),
        ("GET", LIST, {"X Y": "a"}, 400),
        ("GET", LIST, {"Authorization": "Bearer a b"}, 401),
        ("GET", LIST, {"Authorization": "Bearer wf.x"}, 401),
        ("GET", LIST, {"Authorization": "Bearer nobody's"}, 401),
        ("GET", LIST, {"Authorization": "Basic eDp5"}, 401),
        ("PUT", LIST, {}, 405),
        ("TRACE", LIST, {}, 405),
        ("POST", "/health/live", {}, 405),
        ("DELETE", "/health/ready", {}, 405),
        ("GET", "/health/nothing", {}, 404),
        ("POST", "/api/schema/", {}, 405),
        ("POST", "/api/docs/", {}, 405),
        ("GET", "/api/schema/?format=xml", {}, 404),
        ("GET", "/api/schema/", {"Accept": "image/png"}, 406),
        ("GET", f"{LIST}?page=999", {}, 404),
        ("GET", f"{LIST}999999/", {}, 404),
        ("GET", "/api/schemas/nothing/", {}, 404),
        ("POST", LIST, {"Transfer-Encoding": "chunked"}, 411),
        ("POST", LIST, {"Content-Length": "x"}, 400),
        ("POST", LIST, {"Content-Length": "9" * 25}, 413),
        ("POST", LIST, {"Content-Length": "9" * 14, **JSON}, 413),
        ("POST", "/admin/login/", {"Content-Length": "9" * 10}, 413),
        ("POST", LIST, {"Content-Encoding": "gzip"}, 415),
        ("POST", LIST, {"Content-Type": "application/json; charset=utf-16"}, 415),
        ("POST", LIST, {"Content-Type": "text/plain"}, 400),
        ("POST", LIST, {"Idempotency-Key": "a b", **JSON}, 400),
        ("POST", LIST, JSON, 400),
    ],
)
def test_every_refusal_is_a_problem_that_says_what_is_wrong(
    service: LocalService, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answered, content_type, content = sent(service, method, path, headers)

    assert (answered, content_type) == (status, "application/problem+json")
    problem = json.loads(content)
    assert problem["status"] == status
    assert problem["type"] == f"urn:problem:orchestrator:{problem['code']}"
    assert problem["detail"] != problem["title"]


@pytest.mark.parametrize("path", [LIST, "/", "/admin/", "/nothing/"])
def test_a_wrong_host_is_named(service: LocalService, path: str) -> None:
    status, _, content = sent(service, "GET", path, {"Host": "evil.example:99"})

    assert status == 400
    assert b"evil.example:99" in content
    assert b"ALLOWED_HOSTS" in content


def test_a_message_key_of_a_thousand_ideographs_is_let_in(service: LocalService) -> None:
    # A channel that is not there: the key has been read, and there is nothing to put the message into.
    status, _, content = sent(service, "POST", "/api/channels/x/y/messages/", {"Message-Key": "%E5%A4%B1" * 1000})

    assert status == 404, content


def test_a_document_with_one_fault_says_it_in_its_detail(service: LocalService) -> None:
    body = '{"schema": "nothing"}'
    _, _, content = sent(service, "POST", LIST, {**JSON, "Content-Length": str(len(body))}, body)

    assert json.loads(content)["detail"] == "/data/schema: is not the name of a Schema"


def test_pages_for_people_are_pages(service: LocalService) -> None:
    status, content_type, _ = sent(service, "GET", "/nothing/")

    assert (status, content_type.partition(";")[0]) == (404, "text/html")
