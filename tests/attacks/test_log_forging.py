"""What a caller sends begins no line of the log, adds no field to one, and moves no reader's cursor."""

from __future__ import annotations

import json
import logging
import re
import sys
from io import StringIO

import pytest
from django.test import Client

from orchestrator_api.logs import JsonFormatter, TextFormatter

FORGED = "12:00:00 info    orchestrator.requests: request status=200"
ENDS_OF_LINES = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029", "\x00"]
TRICKS = [*ENDS_OF_LINES, "\x1b[2K\x1b[1A", "\x9b2K", "\x7f\x08", "\u202e", "\u2066", "\ufeff", "\ud800"]


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("any.logger", logging.ERROR, __file__, 1, message, arguments, None)
    made.__dict__.update(extra)
    return made


@pytest.fixture
def written():
    """Give what requests write to a text log; the log's file is written as ours is, in UTF-8."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter())
    logger = logging.getLogger("orchestrator")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream.getvalue
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.mark.parametrize("trick", TRICKS, ids=ascii)
@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_a_word_with_a_trick_stays_a_word_of_its_line(formatter, trick):
    word = f"name{trick}{FORGED}"
    for made in (record(word), record("hello %s", word), record("hello", account=word), record("x", **{"path": word})):
        text = formatter.format(made)
        assert len(text.splitlines()) == 1
        assert text.isprintable()
        text.encode()  # a handler can write it


@pytest.mark.parametrize("trick", TRICKS, ids=ascii)
def test_an_exceptions_text_begins_no_line_of_its_own(trick):
    try:
        raise ValueError(f"x{trick}{FORGED}")
    except ValueError:
        made = record("it broke")
        made.exc_info = sys.exc_info()
    first, *others = TextFormatter().format(made).splitlines()
    assert first.endswith("any.logger: it broke")
    assert others
    assert all(line.startswith("    ") and line.isprintable() for line in others)
    assert JsonFormatter().format(made).isprintable()


def test_a_value_adds_no_field_to_its_line():
    text = TextFormatter().format(record("request", path='/x status=200 user="1"', user_id=3))
    assert re.findall(r"(\w+)=", re.sub(r'"(?:[^"\\]|\\.)*"', "", text)) == ["path", "user_id"]


def test_what_was_escaped_reads_as_it_was_sent():
    sent = 'a\n"b"\\ \u2028\x1b'
    assert json.loads(JsonFormatter().format(record("x", account=sent)))["account"] == sent
    assert json.loads(TextFormatter().format(record("x", account=sent)).partition("account=")[2]) == sent


def test_plain_values_stay_plain():
    text = TextFormatter().format(record("request", path="/api/runs/a-1/", patient="Zoë", status=200))
    assert text.endswith("request path=/api/runs/a-1/ patient=Zoë status=200")


@pytest.mark.parametrize("escape", ["%0a", "%0d%0a", "%e2%80%a8", "%c2%85", "%1b%5b2K", "%ff"])
@pytest.mark.django_db
def test_a_path_forges_no_line(written, escape):
    Client(raise_request_exception=False).get(f"/api/nothing{escape}{FORGED.replace(' ', '%20')}/")
    [line] = written().splitlines()
    assert line.isprintable()
    assert "status=404" in line
    assert '"/api/nothing' in line


@pytest.mark.django_db
def test_headers_forge_no_line(written):
    headers = {"x-request-id": f"a\n{FORGED}", "user-agent": f"a\n{FORGED}", "authorization": f"Bearer \n{FORGED}"}
    Client(raise_request_exception=False).get("/api/executions/", headers=headers)
    [line] = written().splitlines()
    assert "status=401" in line


@pytest.mark.django_db
def test_a_user_name_forges_no_line(written):
    Client().post("/admin/login/", {"username": f"ada\n{FORGED}", "password": "x"})
    failed, request = written().splitlines()
    assert "login failed" in failed
    assert '"ada\\n' in failed
    assert "path=/admin/login/" in request
