from ipaddress import ip_network

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from orchestrator_api.callers import CallerMiddleware


@pytest.fixture(autouse=True)
def proxies(settings):
    settings.TRUSTED_PROXIES = (ip_network("10.1.0.0/16"), ip_network("::1/128"))


def seen(address: str, **headers: str):
    """Return a request as views see it."""
    found = []

    def view(request):
        found.append(request)
        return HttpResponse()

    CallerMiddleware(view)(RequestFactory(REMOTE_ADDR=address).get("/", headers=headers))
    return found[0]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "caller"),
    [
        ("10.1.2.3", "198.51.100.4", "198.51.100.4"),
        ("10.1.2.3", "6.6.6.6, 198.51.100.4", "198.51.100.4"),
        ("10.1.2.3", "6.6.6.6, 198.51.100.4, 10.1.9.9", "198.51.100.4"),
        ("10.1.2.3", "10.1.4.4", "10.1.4.4"),
        ("10.1.2.3", "198.51.100.4, unknown, 10.1.9.9", "10.1.9.9"),
        ("10.1.2.3", "unknown", "10.1.2.3"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("::ffff:10.1.2.3", "2001:db8::5", "2001:db8::5"),
        ("10.2.2.3", "198.51.100.4", "10.2.2.3"),
        ("", "198.51.100.4", ""),
    ],
)
def test_the_caller_is_whom_the_last_trusted_proxy_names(peer, forwarded_for, caller):
    assert seen(peer, **{"x-forwarded-for": forwarded_for}).META["REMOTE_ADDR"] == caller


def test_what_a_stranger_says_of_himself_is_not_there_any_more():
    said = {"x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https", "x-forwarded-host": "a", "x-real-ip": "1.2.3.4"}
    assert not [name for name in seen("10.2.2.3", **said).META if "FORWARDED" in name or "REAL_IP" in name]


def test_a_proxy_that_nobody_named_is_warned_of_once(settings, caplog):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    middleware = CallerMiddleware(lambda request: HttpResponse())
    for _ in range(2):
        middleware(RequestFactory(REMOTE_ADDR="10.2.2.3").get("/", headers={"x-forwarded-proto": "https"}))
    [record] = caplog.records
    assert "TRUSTED_PROXIES" in record.message
    assert record.address == "10.2.2.3"
