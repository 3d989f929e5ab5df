import json
import logging
import sys
from io import StringIO

import pytest

from orchestrator_api.logs import JsonFormatter, TextFormatter, current_request_id

pytestmark = pytest.mark.usefixtures("failing_urls")


def record(message="hello %s", args=("you",), exc_info=None, **extra) -> logging.LogRecord:
    made = logging.LogRecord("runs.controller", logging.INFO, __file__, 1, message, args, exc_info)
    made.__dict__.update(extra)
    return made


@pytest.fixture
def lines():
    """Give the lines that requests have logged, each formatted when it was written."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("orchestrator.requests")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def test_a_line_is_one_json_object_with_its_extras():
    line = json.loads(JsonFormatter().format(record(run_id=3)))
    assert line.pop("at").endswith("+00:00")
    assert line == {"level": "info", "logger": "runs.controller", "message": "hello you", "run_id": 3}


def test_a_line_says_which_request_it_belongs_to():
    token = current_request_id.set("r1")
    try:
        assert json.loads(JsonFormatter().format(record()))["request_id"] == "r1"
    finally:
        current_request_id.reset(token)


def test_a_traceback_stays_inside_its_line():
    try:
        raise ValueError("x")
    except ValueError:
        made = record(exc_info=sys.exc_info(), request=object())
    text = JsonFormatter().format(made)
    assert "\n" not in text
    assert "ValueError: x" in json.loads(text)["traceback"]
    assert "request" not in json.loads(text)
    assert "ValueError: x" in TextFormatter().format(made)


def test_lines_for_people_hold_the_same():
    assert TextFormatter().format(record(run_id=3)).endswith("info    runs.controller: hello you run_id=3")


def test_each_request_is_one_line_without_query_values_or_bodies(client, person, lines):
    client.get("/api/executions/7/whoami/?patient=secret", headers={"x-request-id": "abc-1"})
    [line] = lines()
    assert line["request_id"] == "abc-1"
    assert line["owner"] is None
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/executions/7/whoami/", 200)
    assert line["user_id"] == person.pk
    assert line["duration_ms"] >= 0
    assert "secret" not in json.dumps(line)


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\nb"])
def test_a_request_id_that_is_none_is_replaced(client, given):
    answered = client.get("/api/whoami/", headers={"x-request-id": given})["X-Request-ID"]
    assert answered != given
    assert len(answered) == 32


@pytest.mark.django_db
def test_nobody_has_no_user_and_probes_are_silent(anonymous, lines):
    anonymous.get("/api/whoami/")
    anonymous.get("/health/live")
    [line] = lines()
    assert (line["status"], line["user_id"]) == (401, None)
