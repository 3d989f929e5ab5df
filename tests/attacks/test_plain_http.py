"""With HTTPS_ONLY nobody talks to the API in the clear, whatever he claims to be or to have come by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import get_resolver

from orchestrator_api.tokens import token_create
from web.grants import WorkflowGrant, issue_token

STRANGER, PROXY = "203.0.113.9", "192.0.2.7"
CLAIMS = [
    {},
    {"X-Forwarded-Proto": "https"},
    {"X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1;proto=https"},
    {"X-Forwarded-Ssl": "on", "X-Forwarded-Protocol": "ssl", "X-Url-Scheme": "https", "Front-End-Https": "on"},
    {"X-Forwarded-Host": "127.0.0.1", "X-Forwarded-Port": "443"},
]
SPELLINGS = ["/api/executions/", "//api/executions/", "/api//executions/", "/API/executions/", "/api/./executions/"]


@pytest.fixture(autouse=True)
def https_only(settings, db):
    settings.HTTPS_ONLY = settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS = 3600


@pytest.fixture
def behind_proxy(settings):
    settings.TRUSTED_PROXIES = (ip_network(f"{PROXY}/32"),)
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


@pytest.fixture
def token(person) -> str:
    return token_create(user=person, name="test", lifetime=timedelta(days=1))[1]


def call(path: str = "/api/executions/", address: str = STRANGER, secure: bool = False, **headers: str) -> HttpResponse:
    client = Client(raise_request_exception=False, REMOTE_ADDR=address)
    return client.get(path, secure=secure, headers=headers)


def is_refused(response: HttpResponse) -> bool:
    return response.status_code == 403 and response.json()["code"] == "https-required"


@pytest.mark.parametrize("claim", CLAIMS, ids=str)
def test_a_stranger_is_refused_whatever_he_claims(token, claim):
    assert is_refused(call(Authorization=f"Bearer {token}", **claim))


@pytest.mark.parametrize("claim", CLAIMS, ids=str)
def test_a_stranger_is_refused_where_others_are_proxies(token, claim, behind_proxy):
    assert is_refused(call(Authorization=f"Bearer {token}", **claim))


@pytest.mark.parametrize("path", SPELLINGS)
def test_no_spelling_of_an_address_answers_in_the_clear(token, path):
    assert call(path, Authorization=f"Bearer {token}").status_code in (301, 403)


def test_no_view_of_the_api_answers_in_the_clear():
    found = set()

    def walk(patterns, prefix=""):
        for pattern in patterns:
            address = prefix + str(pattern.pattern)
            if hasattr(pattern, "url_patterns"):
                walk(pattern.url_patterns, address)
            elif address.startswith("api/"):
                found.add(address)

    walk(get_resolver().url_patterns)
    assert len(found) > 30
    for address in found:
        assert is_refused(call(f"/{address}"))


@pytest.mark.parametrize("method", ["get", "head", "post", "put", "patch", "delete", "options", "trace"])
def test_no_method_is_answered_in_the_clear(method):
    answer = getattr(Client(REMOTE_ADDR=STRANGER), method)("/api/executions/")
    assert answer.status_code == 403


def test_the_refusal_asks_for_https_and_says_that_a_token_may_be_lost(token):
    answer = call(Authorization=f"Bearer {token}")
    assert "https://" in answer.json()["detail"]
    assert "Location" not in answer


def test_pages_are_redirected_and_probes_answered():
    for path in ("/admin/", "/"):
        answer = call(path)
        assert (answer.status_code, answer["Location"]) == (301, f"https://testserver{path}")
    assert call("/health/live").status_code == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_excepted(token, address):
    assert call(address=address, Authorization=f"Bearer {token}").status_code == 200


def test_ranges_of_settings_are_excepted(token, settings):
    settings.PLAIN_HTTP_FROM = (ip_network("203.0.113.0/28"), ip_network("fd00::/8"))
    for address in (STRANGER, "fd00::1"):
        assert call(address=address, Authorization=f"Bearer {token}").status_code == 200
    for address in ("203.0.113.16", "127.0.0.1", "", "unix", "203.0.113.9, 203.0.113.16"):
        assert is_refused(call(address=address, Authorization=f"Bearer {token}"))


def test_workflows_are_excepted_by_their_tokens_as_long_as_settings_say_so(settings):
    good = issue_token(WorkflowGrant("execution", 1, 1, "w"), datetime.now(UTC) + timedelta(hours=1))
    for text in (good, "wf.forged"):
        # Nobody of that name runs: it is the view that refuses.
        assert call(Authorization=f"Bearer {text}").status_code == 401
    settings.PLAIN_HTTP_FOR_WORKFLOWS = False
    assert is_refused(call(Authorization=f"Bearer {good}"))


def test_our_own_questions_to_the_registry_are_excepted_where_they_go_by_http(settings, token):
    settings.MAAS_API_TOKEN = token
    assert call(Authorization=f"Bearer {token}").status_code == 200
    assert is_refused(call(Authorization=f"Bearer {token}x"))
    settings.MAAS_API_SCHEME = "https"
    assert is_refused(call(Authorization=f"Bearer {token}"))
    settings.MAAS_API_SCHEME, settings.MAAS_API_TOKEN = "http", ""
    assert is_refused(call(Authorization="Bearer "))


def test_a_trusted_proxy_tells_how_its_caller_came(token, behind_proxy):
    def through_proxy(proto: str, caller: str = STRANGER) -> HttpResponse:
        given = {"X-Forwarded-Proto": proto, "X-Forwarded-For": caller, "Authorization": f"Bearer {token}"}
        return call(address=PROXY, **given)

    assert through_proxy("https").status_code == 200
    assert is_refused(through_proxy("http"))
    # What the caller wrote stands before what the proxy added.
    assert is_refused(through_proxy("https, http"))
    assert is_refused(through_proxy("http", f"127.0.0.1, {STRANGER}"))
    assert is_refused(through_proxy("http", "127.0.0.1, nonsense"))


def test_a_proxy_on_this_machine_lends_nobody_its_own_address(token, settings, behind_proxy):
    settings.TRUSTED_PROXIES = (ip_network("127.0.0.0/8"),)
    assert is_refused(call(address="127.0.0.1", **{"X-Forwarded-Proto": "http"}))
    assert is_refused(call(address="127.0.0.1", **{"X-Forwarded-Proto": "http", "X-Forwarded-For": STRANGER}))
    assert is_refused(call(address="127.0.0.1", **{"X-Forwarded-For": STRANGER}))


def test_browsers_are_told_to_insist_on_https(token):
    answer = call(secure=True, Authorization=f"Bearer {token}")
    assert answer["Strict-Transport-Security"].startswith("max-age=3600")
    assert "Strict-Transport-Security" not in call("/health/live")


def test_without_https_only_plain_http_is_as_good_as_ever(settings, token):
    settings.HTTPS_ONLY = settings.SECURE_SSL_REDIRECT = False
    assert call(Authorization=f"Bearer {token}").status_code == 200
