import json

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
