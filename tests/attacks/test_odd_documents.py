"""Documents that make use of what is taken beyond the strict form: nothing hangs, and nothing gets in by it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from executions.validation import typed_document
from policy.faults import Unreadable
from policy.reading import read
from registry.models import AIModel
from tests.cpu_time import cpu_seconds_below
from tests.registry.samples import form, model, model_files
from web.jsontext import mended, parse_json
from web.leniency import NUMBERS_TOO, typed

DIGITS = 400_000
PLENTY_SECONDS = 20


@pytest.mark.parametrize(
    "number",
    [
        "9" * DIGITS, "-" + "9" * DIGITS, "0x" + "f" * DIGITS, "0b" + "1" * DIGITS, "0" * DIGITS + "9",
        "1e" + "9" * DIGITS, "1." + "9" * DIGITS, "1_" * (DIGITS // 2) + "x", "+" * DIGITS, "." * DIGITS,
    ],
    ids=["long", "negative", "hex", "binary", "octal", "exponent", "fraction", "underscores", "signs", "points"],
)  # fmt: skip
def test_a_number_of_any_length_is_read_at_once(number: str) -> None:
    with cpu_seconds_below(PLENTY_SECONDS), contextlib.suppress(Unreadable):
        json.dumps(read(f"a: {number}".encode()).value)


@pytest.mark.parametrize("kind", ["integer", "number", "boolean", "string"])
@pytest.mark.parametrize("value", ["9" * DIGITS, "-" * DIGITS, " " * DIGITS, 10**4000, "0" * DIGITS + "."])
def test_a_text_of_any_length_is_no_number(kind: str, value: Any) -> None:
    assert typed(value, {"type": kind, NUMBERS_TOO: True}) is value


def test_escapes_by_the_million_are_mended_at_once() -> None:
    text = '"' + "\\ud83d\\\\" * 200_000 + '"'

    with cpu_seconds_below(PLENTY_SECONDS):
        assert parse_json(mended(text)) == "\ufffd\\" * 200_000


@pytest.mark.parametrize("document", [{}, {"input_elements": []}, {"input_elements": {"platform_data": {"x": 1}}}])
def test_a_document_of_any_other_shape_comes_out_as_it_was(document: Any) -> None:
    assert typed_document(document) == document


@pytest.mark.django_db
def test_a_key_of_two_spellings_is_one_model(api: Any) -> None:
    """Ids as numbers and as texts make one digest, so that nobody stores a model twice by it."""
    first = model(data_partners_patients={"p1": ["1", "2"]})
    document = {
        "ai_engine_version": str(first.ai_engine_version_id),
        "name": first.name,
        "data_partners_patients": {"p1": [2, 1]},
    }

    answer = api.post("/api/ai_models/", form(document, **model_files()), format="multipart")

    assert answer.status_code == 400
    assert AIModel.objects.count() == 1


@pytest.mark.django_db
def test_a_mark_before_a_file_that_is_too_large_is_not_read_for_it(api: Any, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    large = SimpleUploadedFile("v.json", b"\xef\xbb\xbf" + b'"' + b"x" * 11 * 1024**2 + b'"')
    parts = {**model_files(), "ai_engine_version_user_vars": large}

    answer = api.post("/api/ai_models/", form({"name": "m", "ai_engine_version": 1}, **parts), format="multipart")

    assert answer.status_code == 413
