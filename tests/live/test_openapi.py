"""Requests made up from the OpenAPI document: never a server error, and every answer as the document says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from usage_scripts.local_service import LocalService, local_service

pytestmark = pytest.mark.live
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service of its own, since made-up requests also delete things."""
    with local_service(tmp_path_factory.mktemp("victim")) as running:
        yield running


@pytest.fixture(scope="module")
def api_document(victim: LocalService) -> Any:
    return schemathesis.openapi.from_url(f"{victim.url}/api/schema/?format=json", headers=authorization(victim))


def authorization(service: LocalService) -> dict[str, str]:
    return {"Authorization": f"Bearer {service.token}"}


schema = schemathesis.pytest.from_fixture("api_document")


@schema.parametrize()
@settings(max_examples=15, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_made_up_requests_are_answered_as_documented(case: Any, victim: LocalService) -> None:
    case.call_and_validate(headers=authorization(victim), checks=CHECKS, timeout=30)
