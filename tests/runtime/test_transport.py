"""HTTPS to a server with a certificate of an authority that only those know who are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.calls import Calls, CallSettings
from runtime.errors import CallError
from runtime.transport import Transport
from tests.runtime.conftest import QUICK
from tests.runtime.recording import RecordingServer, json_answer
from tests.services.certificates import Authority
from tests.services.tls import TlsProxy


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def proxy(authority: Authority, server: RecordingServer) -> Iterator[TlsProxy]:
    host, _, port = server.host.partition(":")
    with TlsProxy(authority.issue("server"), (host, int(port))) as running:
        yield running


def told(proxy: TlsProxy, authority: Authority) -> Transport:
    return Transport.from_environment(
        {
            "ORCHESTRATOR_HTTPS_HOSTS": f" other:1 ,{proxy.hostname}",
            "ORCHESTRATOR_API_CA": authority.certificate.read_text(),
        }
    )


def test_an_address_that_a_manifest_writes_with_http_is_called_by_https(
    server: RecordingServer, proxy: TlsProxy, authority: Authority
) -> None:
    server.answer("GET", "/api/executions/1/", json_answer({"id": 1}))
    with Calls(QUICK, "callback-token", told(proxy, authority)) as calls:
        assert calls.get_json(f"http://{proxy.hostname}/api/executions/1/") == {"id": 1}
    assert server.headers[0]["Authorization"] == "Bearer callback-token"
    assert server.headers[0]["X-Forwarded-Proto"] == "https"


def test_a_download_comes_by_https(
    server: RecordingServer, proxy: TlsProxy, authority: Authority, tmp_path: Path
) -> None:
    server.file("/model.zip", b"m" * 300_000)
    with Calls(QUICK, "", told(proxy, authority)) as calls:
        calls.download(f"http://{proxy.hostname}/model.zip", tmp_path / "model.zip", 1)
    assert (tmp_path / "model.zip").stat().st_size == 300_000


def test_the_environment_says_it_to_whoever_is_not_told_otherwise(
    server: RecordingServer, proxy: TlsProxy, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_HTTPS_HOSTS", proxy.hostname)
    monkeypatch.setenv("ORCHESTRATOR_API_CA", authority.certificate.read_text())
    server.answer("PATCH", "/x/", json_answer({}))
    with Calls(QUICK) as calls:
        calls.send_data("PATCH", f"http://{proxy.hostname}/x/", {"message": "m"})
    assert server.of("PATCH") == ["/x/"]


def test_a_certificate_of_somebody_elses_authority_gets_no_token(
    server: RecordingServer, proxy: TlsProxy, tmp_path: Path
) -> None:
    transport = told(proxy, Authority(tmp_path))
    with Calls(QUICK, "callback-token", transport) as calls, pytest.raises(CallError, match="TLS failed"):
        calls.get_json(f"http://{proxy.hostname}/api/executions/1/")
    assert not server.calls


def test_a_certificate_for_another_host_gets_no_token(server: RecordingServer, authority: Authority) -> None:
    host, _, port = server.host.partition(":")
    with (
        TlsProxy(authority.issue("other"), (host, int(port)), host="127.0.0.2") as proxy,
        Calls(QUICK, "t", told(proxy, authority)) as calls,
        pytest.raises(CallError, match="TLS failed"),
    ):
        calls.get_json(f"http://{proxy.hostname}/")
    assert not server.calls


@pytest.mark.parametrize(
    "url",
    [
        "http://elsewhere:9000/a/",
        "http://h:90/a/?b=c#d",
        "https://h:9000/a/",
        "http://h:9000.evil.example/",
        "http://h/",
    ],
)
def test_other_addresses_stay_as_they_are(url: str) -> None:
    assert Transport(frozenset({"h:9000"})).address(url) == url


def test_the_rest_of_an_address_stays_as_it_is() -> None:
    assert Transport(frozenset({"h:9000"})).address("http://H:9000/a/?b=%20c") == "https://H:9000/a/?b=%20c"


def test_certificates_that_are_none_are_said_to_be() -> None:
    with pytest.raises(CallError, match="ORCHESTRATOR_API_CA"):
        Calls(CallSettings(), "", Transport(authority="no certificate"))
