"""Requests made up from the OpenAPI document: never a server error, and every answer as the document says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from usage_scripts.local_service import LocalService, local_service

pytestmark = pytest.mark.live
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
METHODS = ("get", "post", "patch", "delete")


def document() -> dict[str, Any]:
    described: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return described


OPERATIONS = [
    f"{method.upper()} {path}" for path, item in document()["paths"].items() for method in METHODS if method in item
]


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service of its own, since made-up requests also delete things."""
    with local_service(tmp_path_factory.mktemp("victim")) as running:
        yield running


@pytest.fixture(scope="module")
def api() -> Any:
    return schemathesis.openapi.from_dict(document())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_made_up_requests_are_answered_as_documented(operation: str, api: Any, victim: LocalService) -> None:
    method, path = operation.split(" ")
    headers = {"Authorization": f"Bearer {victim.token}"}

    @given(case=api[path][method].as_strategy())
    @settings(max_examples=20, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def call(case: Any) -> None:
        case.call_and_validate(base_url=victim.url, headers=headers, checks=CHECKS, timeout=60)

    call()
