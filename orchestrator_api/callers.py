"""Where a request comes from, and whether it may come by plain HTTP.

Headers that a caller sets about itself are ignored. Headers of a proxy count where settings name the proxy. Behind
CallerMiddleware REMOTE_ADDR and `is_secure()` can be trusted.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.crypto import constant_time_compare

from orchestrator_api.middleware import GetResponse
from orchestrator_api.networks import address_of, is_in
from orchestrator_api.problems import Problem, problem_response
from web.grants import TOKEN_PREFIX

logger = logging.getLogger(__name__)

_FOR, _PROTO = "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"
_FORWARDED = (_FOR, _PROTO, "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT", "HTTP_X_REAL_IP", "HTTP_FORWARDED")
# Probes may use plain HTTP; pages are redirected before (SECURE_SSL_REDIRECT).
_OPEN = "/health/"


class CallerMiddleware:
    """Sets REMOTE_ADDR to the caller's own address, and drops headers that no trusted proxy set."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._has_warned = False

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        meta = request.META
        if is_in(address_of(meta.get("REMOTE_ADDR", "")), settings.TRUSTED_PROXIES):
            meta["REMOTE_ADDR"] = _caller(meta.get(_FOR, ""), meta["REMOTE_ADDR"])
            if _PROTO in meta:
                # The proxy sets the last value; the values before it may be the caller's.
                meta[_PROTO] = meta[_PROTO].rpartition(",")[2].strip()
        else:
            self._warn(meta)
            for name in _FORWARDED:
                meta.pop(name, None)
        return self.get_response(request)

    def _warn(self, meta: dict[str, str]) -> None:
        """Log once why the headers of a proxy are ignored: settings imply a proxy but do not name it."""
        if settings.SECURE_PROXY_SSL_HEADER and _PROTO in meta and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "X-Forwarded-Proto is ignored: the sender is not in TRUSTED_PROXIES",
                extra={"address": meta.get("REMOTE_ADDR")},
            )


class PlainHttpMiddleware:
    """Refuses calls of the API by plain HTTP while HTTPS_ONLY is set.

    A redirect would come too late: the token and the patients' data have already been sent in plain text. Exempt are
    ranges of addresses (PLAIN_HTTP_FROM), Workflows, known by their tokens, and this service's own requests to the
    registry.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not settings.HTTPS_ONLY or request.is_secure() or request.path_info.startswith(_OPEN):
            return self.get_response(request)
        if _is_excepted(request):
            return self.get_response(request)
        return problem_response(
            Problem(
                403,
                "https-required",
                "This service accepts HTTPS only.",
                "Send the request by https://. A token that was sent by plain HTTP "
                "may have been read on the way: revoke it.",
            )
        )


def _caller(forwarded_for: str, proxy: str) -> str:
    """Return the first address, from the end, that is not a trusted proxy; a caller can forge those before it."""
    caller = proxy
    for text in reversed(forwarded_for.split(",")):
        address = address_of(text)
        if address is None:
            break
        caller = str(address)
        if not is_in(address, settings.TRUSTED_PROXIES):
            break
    return caller


def _is_excepted(request: HttpRequest) -> bool:
    token = _token(request)
    if settings.PLAIN_HTTP_FOR_WORKFLOWS and token.startswith(TOKEN_PREFIX):
        # It looks like a Workflow's token; the view checks it.
        return True
    own = settings.MAAS_API_TOKEN if settings.MAAS_API_SCHEME == "http" else ""
    if own and constant_time_compare(token, own):
        return True
    # A proxy that forwards the scheme but not the address does not count as loopback.
    is_forwarded = _PROTO in request.META and _FOR not in request.META
    return not is_forwarded and is_in(address_of(request.META.get("REMOTE_ADDR", "")), settings.PLAIN_HTTP_FROM)


def _token(request: HttpRequest) -> str:
    words = request.headers.get("Authorization", "").split()
    return words[1] if len(words) == 2 and words[0].lower() in ("bearer", "token") else ""
