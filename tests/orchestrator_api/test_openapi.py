import json
import re
from collections import Counter

import pytest


@pytest.fixture
def document(anonymous, db) -> dict:
    return json.loads(anonymous.get("/api/schema/?format=json").content)


def operations(document) -> list[tuple[str, str, dict]]:
    return [(path, method, op) for path, ops in document["paths"].items() for method, op in ops.items()]


def test_the_document_is_public_and_whole(document):
    assert document["openapi"].startswith("3.")
    assert "Problem" in document["components"]["schemas"]


def test_every_operation_names_its_problems_and_its_token(document):
    for path, method, operation in operations(document):
        if path != "/api/schema/":
            assert operation["responses"]["401"]["content"], (method, path)
            assert {"token": []} in operation["security"], (method, path)


def test_every_post_takes_an_idempotency_key(document):
    for path, method, operation in operations(document):
        names = [parameter["name"] for parameter in operation.get("parameters", [])]
        assert ("Idempotency-Key" in names) == (method == "post"), (method, path)


def test_there_is_a_page_to_try_it(anonymous, db):
    page = anonymous.get("/api/docs/").text
    assert "swagger-ui" in page
    assert "//cdn" not in page


def test_the_front_door_leads_there(anonymous):
    assert anonymous.get("/")["Location"] == "/api/docs/"


def test_every_operation_is_described_in_its_own_words(document):
    described = {(method, path): op.get("description", "") for path, method, op in operations(document)}
    silent = [place for place, words in described.items() if not words.endswith(".")]
    repeated = {words for words, times in Counter(described.values()).items() if times > 1}

    assert not silent
    assert not {place: words for place, words in described.items() if words in repeated}


def test_no_description_tells_of_the_code(document):
    words = " ".join(op["description"] for _, _, op in operations(document))

    # Names of ours stand in code marks where callers know them: fields, parameters, parts.
    assert set(re.findall(r"`([^`]+)`", words)) <= {"schema_version"}


def test_options_tell_nothing_of_the_code(api):
    assert api.options("/api/executions/").json()["description"] == "The API is described at /api/schema/."


def test_filters_say_what_they_take(document):
    parameters = {each["name"]: each for each in document["paths"]["/api/executions/"]["get"]["parameters"]}

    assert parameters["state"]["description"].startswith("One of: pending, running, succeeded, failed; or several")
    assert parameters["created_at_after"]["description"].startswith("A time")
    assert parameters["q"]["description"] == "A text. Only entries that contain it, ignoring case."
