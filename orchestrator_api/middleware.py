"""Middleware for every request: its id, its log line, its address."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.utils.functional import SimpleLazyObject

from orchestrator_api.logs import current_request_id
from orchestrator_api.problems import Problem, problem_response
from web.errors import NotFound
from web.grants import grant_of

GetResponse = Callable[[HttpRequest], HttpResponseBase]

logger = logging.getLogger("orchestrator.requests")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class RequestLogMiddleware:
    """Gives each request an id, in its log lines and as X-Request-ID in its answer, and logs one line about it."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = request_id_of(request.headers.get("X-Request-ID", ""))
        token = current_request_id.set(request_id)
        started = time.monotonic()
        try:
            response = self.get_response(request)
            response["X-Request-ID"] = request_id
            # Probes come every few seconds; only failed ones are logged.
            if response.status_code >= 400 or not request.path_info.startswith("/health/"):
                logger.info("request", extra=_line(request, response, time.monotonic() - started))
            return response
        finally:
            current_request_id.reset(token)


def request_id_of(given: str) -> str:
    """Return the id of a request: the caller's, if it is valid, else a new one."""
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _line(request: HttpRequest, response: HttpResponseBase, seconds: float) -> dict[str, object]:
    user = request.__dict__.get("user")
    if isinstance(user, SimpleLazyObject):
        # Set only if the user was looked up; a look-up now would cost a query.
        user = request.__dict__.get("_cached_user")
    grant = grant_of(request)
    return {
        "method": request.method,
        "path": request.path_info[:300],
        "status": response.status_code,
        "duration_ms": round(seconds * 1000, 1),
        "user_id": getattr(user, "pk", None),
        "workflow": grant.name if grant else None,
        "owner": grant.owner if grant else None,
    }


class CleanAddressMiddleware:
    """Refuses NUL characters in an address: no database accepts them, and no address has one."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "\x00" in request.path_info:
            return problem_response(Problem(404, NotFound.code, NotFound.title, "The address holds a NUL character."))
        if "%00" in request.META.get("QUERY_STRING", ""):
            return problem_response(
                Problem(400, "invalid-input", "The request has faults.", "The query holds a NUL character.")
            )
        return self.get_response(request)


class SlashMiddleware(CommonMiddleware):
    """Adds a missing slash to the address of a GET; other methods would lose their body in a redirect."""

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        return request.method in ("GET", "HEAD") and super().should_redirect_with_slash(request)
