"""Where a request comes from, and whether it may come by plain HTTP.

What a caller says of itself in headers is worth nothing; what a proxy says of its caller is, where settings name the
proxy. Behind CallerMiddleware REMOTE_ADDR and `is_secure()` are to be believed.
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
# Probes; and pages have been redirected before (SECURE_SSL_REDIRECT).
_OPEN = "/health/"


class CallerMiddleware:
    """Puts the caller's own address into REMOTE_ADDR, and drops what nobody trustworthy says of him."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._has_warned = False

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        meta = request.META
        if is_in(address_of(meta.get("REMOTE_ADDR", "")), settings.TRUSTED_PROXIES):
            meta["REMOTE_ADDR"] = _caller(meta.get(_FOR, ""), meta["REMOTE_ADDR"])
            if _PROTO in meta:
                # The last word is the proxy's own; those before it may be the caller's.
                meta[_PROTO] = meta[_PROTO].rpartition(",")[2].strip()
        else:
            self._warn(meta)
            for name in _FORWARDED:
                meta.pop(name, None)
        return self.get_response(request)

    def _warn(self, meta: dict[str, str]) -> None:
        """Say once why a proxy is not heard that settings speak of and do not name."""
        if settings.SECURE_PROXY_SSL_HEADER and _PROTO in meta and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "X-Forwarded-Proto is taken from TRUSTED_PROXIES alone", extra={"address": meta.get("REMOTE_ADDR")}
            )


class PlainHttpMiddleware:
    """Refuses calls of the API by plain HTTP while HTTPS_ONLY is set.

    A redirect would come too late: the token, and the patients' data, have been on the wire. Settings except ranges of
    addresses (PLAIN_HTTP_FROM), Workflows, known by their tokens, and our own questions to the registry.
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
                "This service is spoken to by HTTPS only.",
                "Send it by https://. A token that went by plain HTTP may have been read on its way: revoke it.",
            )
        )


def _caller(forwarded_for: str, proxy: str) -> str:
    """Return the first address, from the end, that is not one of our proxies; what is before it anybody may invent."""
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
        # It looks like a Workflow's: whether it is good, the view finds out.
        return True
    own = settings.MAAS_API_TOKEN if settings.MAAS_API_SCHEME == "http" else ""
    if own and constant_time_compare(token, own):
        return True
    # A proxy that tells how its caller came, and not who it was, is no neighbour of ours.
    is_forwarded = _PROTO in request.META and _FOR not in request.META
    return not is_forwarded and is_in(address_of(request.META.get("REMOTE_ADDR", "")), settings.PLAIN_HTTP_FROM)


def _token(request: HttpRequest) -> str:
    words = request.headers.get("Authorization", "").split()
    return words[1] if len(words) == 2 and words[0].lower() in ("bearer", "token") else ""
