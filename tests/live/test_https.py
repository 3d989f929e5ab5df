"""A whole service behind a proxy that ends TLS: everybody speaks HTTPS, and nobody gets in without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.federated import ended, post
from tests.services.certificates import Authority
from tests.services.tls import TlsProxy
from usage_scripts.demo_day import Api
from usage_scripts.local_service import LocalService, free_port, local_service

pytestmark = pytest.mark.live
NOBODY = "203.0.113.1"


@dataclass(frozen=True)
class Secured:
    service: LocalService
    url: str
    authority: Path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Start a service whose API takes plain HTTP from nobody: neither this machine nor a Workflow."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    port, tls_port = free_port(), free_port()
    environment = {
        "HTTPS_ONLY": "true",
        "PLAIN_HTTP_FROM": NOBODY,
        "PLAIN_HTTP_FOR_WORKFLOWS": "false",
        "BEHIND_PROXY": "true",
        "ORCHESTRATOR_API_SCHEME": "https",
        "API_CA_FILE": str(authority.certificate),
    }
    with (
        TlsProxy(authority.issue("proxy"), ("127.0.0.1", port), tls_port) as proxy,
        local_service(tmp_path_factory.mktemp("secured"), port, announce=proxy.hostname, **environment) as service,
    ):
        yield Secured(service, f"https://{proxy.hostname}", authority.certificate)


def test_two_partners_train_together_by_https_alone(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the registry's client, step runners, and federated managers with their channel."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secured.authority))
    api = Api(secured.url, secured.service.token)

    execution = ended(api, post(api))

    assert execution["state"]["status"] == "succeeded", execution["state"]


def test_plain_http_is_refused_even_on_this_machine(secured: Secured) -> None:
    answer = secured.service.session().get(f"{secured.service.url}/api/executions/", timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (403, "https-required")
