"""Every failed request is answered with one problem document (RFC 9457), with a pointer for each fault.

A table here lists foreign errors, each with its public text. Any other error is a fault of this service: it is logged
with its traceback, and the answer holds only the request's id.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core import exceptions as django_errors
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.utils.html import escape as escape_html
from django.views import csrf as csrf_views
from django.views import defaults
from rest_framework import exceptions as drf_errors
from rest_framework.views import set_rollback

from engines.base import EngineUnavailable, ManifestRejected, WorkflowConflict, WorkflowNotFound
from orchestrator_api.logs import current_request_id
from web.errors import (
    Conflict,
    Fault,
    InvalidInput,
    NotFound,
    OrchestratorError,
    ServiceUnavailable,
    StorageFull,
    TooLarge,
)
from web.jsontext import escape

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
_SUMMARISED = 3
_LONGEST_ECHO = 200
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Problem:
    """The public part of an error: `code` for programs, `title` for the kind, `detail` and `faults` for this one."""

    status: int
    code: str
    title: str
    detail: str = ""
    faults: Sequence[Fault] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the problem as JSON data."""
        return {
            "type": f"urn:problem:orchestrator:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail or _summary(self.faults) or self.title,
            "code": self.code,
            "errors": [{"pointer": fault.pointer, "detail": fault.detail} for fault in self.faults],
        }


def _summary(faults: Sequence[Fault]) -> str:
    """Return the first faults as one text: many clients show only the detail."""
    words = [f"{fault.pointer}: {fault.detail}" for fault in faults[:_SUMMARISED]]
    left = len(faults) - len(words)
    return "; ".join([*words, *([f"and {left} more"] if left else [])])


def problem_of(error: Exception) -> Problem | None:
    """Return the problem for an error; None for a fault of this service."""
    if isinstance(error, OrchestratorError):
        return _ours(error)
    if isinstance(error, drf_errors.APIException):
        return _drf(error)
    if isinstance(error, ManifestRejected):
        return _ours(InvalidInput(str(error), [Fault(error.pointer, str(error))]))
    if (lost := _lost(error)) is not None:
        return lost
    for kinds, translated in _FOREIGN:
        if isinstance(error, kinds):
            return translated
    return None


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Answer what a view raised; DRF's EXCEPTION_HANDLER.

    The view's renderer is not used: those of the OpenAPI document and its page write YAML and HTML.
    """
    problem = problem_of(error)
    if problem is None:
        return None
    if isinstance(error, drf_errors.MethodNotAllowed):
        problem = replace(
            problem, detail=f"{problem.detail} Allowed methods: {', '.join(context['view'].allowed_methods)}."
        )
    set_rollback()
    if problem.status >= 500:
        logger.warning("a request could not be served: %s", problem.code, exc_info=error)
    return problem_response(problem)


def problem_response(problem: Problem) -> HttpResponse:
    """Answer with a problem outside of DRF."""
    return JsonResponse(
        problem.document(), status=problem.status, headers=dict(problem.headers), content_type=CONTENT_TYPE
    )


def _lost(error: BaseException) -> Problem | None:
    """Return the problem where a disk is full, or a database away, locked, read-only or damaged; else None."""
    if isinstance(error, SessionInterrupted):
        # Django takes any database error at the session's row for its deletion.
        cause = error.__context__ and error.__context__.__context__
        return _lost(cause) if isinstance(cause, OperationalError | InterfaceError) else None
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return _FULL
    driver = error.__cause__
    code = getattr(driver, "sqlite_errorcode", None)
    if (code is not None and code & 0xFF == sqlite3.SQLITE_FULL) or getattr(driver, "pgcode", None) == _DISK_FULL:
        return _FULL
    is_read_only = isinstance(error, InternalError) and getattr(driver, "pgcode", None) == _READ_ONLY
    # Drivers raise the base class for a damaged file and for a connection that broke during an answer.
    if isinstance(error, OperationalError | InterfaceError) or type(error) is DatabaseError or is_read_only:
        return _DATABASE_AWAY
    return None


def _ours(error: OrchestratorError) -> Problem:
    detail = "" if error.faults and error.detail == error.title else error.detail
    return Problem(error.status, error.code, error.title, detail, error.faults, error.headers)


_BAD_REQUEST = Problem(
    400, "bad-request", "The request is malformed.",
    "The address, a header, a cookie or a form field holds a value that is not allowed there.",
)  # fmt: skip
_BROKEN_FORM = Problem(400, "invalid-input", InvalidInput.title, "The multipart form is broken.")
_FORBIDDEN = Problem(
    403, "permission-denied", "You do not have permission.", "The account of this request does not have the permission."
)
_NO_CSRF = Problem(
    403, "permission-denied", _FORBIDDEN.title,
    "A request of a browser's session that changes data needs a CSRF token.",
)  # fmt: skip
# The first entry that fits counts: the narrow ones stand before the wide.
_FOREIGN: list[tuple[type[Exception] | tuple[type[Exception], ...], Problem]] = [
    (EngineUnavailable, _ours(ServiceUnavailable("The engine does not answer."))),
    (WorkflowNotFound, _ours(NotFound("The engine does not have this Workflow."))),
    (WorkflowConflict, _ours(Conflict("Another Workflow already has this name."))),
    (Http404, _ours(NotFound("There is nothing at this address."))),
    (
        django_errors.ObjectDoesNotExist,
        _ours(NotFound("The object that the request names does not exist, or no longer exists.")),
    ),
    (django_errors.PermissionDenied, _FORBIDDEN),
    (
        django_errors.RequestDataTooBig,
        _ours(TooLarge(f"A document may have at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes.")),
    ),
    (
        django_errors.TooManyFieldsSent,
        _ours(TooLarge(f"A form or a query may have at most {settings.DATA_UPLOAD_MAX_NUMBER_FIELDS} fields.")),
    ),
    (
        django_errors.TooManyFilesSent,
        _ours(TooLarge(f"A form may have at most {settings.DATA_UPLOAD_MAX_NUMBER_FILES} files.")),
    ),
    (MultiPartParserError, _BROKEN_FORM),
    (
        UnreadablePostError,
        Problem(400, "bad-request", _BAD_REQUEST.title, "The request ended too early, or its form is incomplete."),
    ),
    ((django_errors.SuspiciousOperation, django_errors.BadRequest), _BAD_REQUEST),
    (
        IntegrityError,
        _ours(Conflict("Another request has just stored, changed or deleted the same object; try again.")),
    ),
    (DataError, _ours(InvalidInput("A value is outside of the range that can be stored."))),
    (OverflowError, _ours(InvalidInput("A number is outside of the range that can be stored."))),
]
_FULL = _ours(
    StorageFull("The disk, or the quota, of the storage or the database is full; the request stored nothing.")
)
_DATABASE_AWAY = _ours(ServiceUnavailable("The database does not answer or is too busy."))
# PostgreSQL's SQLSTATEs: a standby that has not taken over yet, and a disk without room.
_READ_ONLY, _DISK_FULL = "25006", "53100"
# In place of the framework's own texts, where those say less.
_DETAILS: dict[type[drf_errors.APIException], str] = {
    drf_errors.NotAuthenticated: "Send a token, as `Authorization: Bearer <token>`, or log in to the admin.",
    drf_errors.NotFound: "There is nothing at this address.",
}
_TITLES: dict[type[drf_errors.APIException], str] = {
    drf_errors.NotAuthenticated: "A token or a session is needed.",
    drf_errors.AuthenticationFailed: "The token or session is not valid.",
    drf_errors.PermissionDenied: _FORBIDDEN.title,
    drf_errors.NotFound: NotFound.title,
    drf_errors.MethodNotAllowed: "This method is not allowed here.",
    drf_errors.UnsupportedMediaType: "This content type is not accepted here.",
    drf_errors.ParseError: InvalidInput.title,
    drf_errors.ValidationError: InvalidInput.title,
    drf_errors.Throttled: "Too many requests.",
}
# DRF's own codes, where ours has another name for the same.
_CODES = {"authentication_failed": "invalid-token", "invalid": "invalid-input", "parse_error": "invalid-input"}


def _drf(error: drf_errors.APIException) -> Problem:
    title = next((text for kind, text in _TITLES.items() if isinstance(error, kind)), "The request failed.")
    code = str(error.default_code)
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    detail, faults = "", list(_flatten(error.detail, "/data"))
    if isinstance(error.detail, str):
        detail, faults = str(error.detail), []
        if detail == str(error.default_detail):
            detail = _DETAILS.get(type(error), detail)
        if isinstance(error, drf_errors.UnsupportedMediaType):
            detail = f"{detail} Accepted: multipart/form-data, application/json."
    return Problem(error.status_code, _CODES.get(code, code.replace("_", "-")), title, detail, faults, headers)


def _flatten(detail: Any, pointer: str) -> Iterator[Fault]:
    """Yield the leaves of DRF's nested details."""
    if isinstance(detail, Mapping):
        for key, inner in detail.items():
            yield from _flatten(inner, pointer if key == "non_field_errors" else f"{pointer}/{escape(key)}")
    elif isinstance(detail, (list, tuple)):
        for index, inner in enumerate(detail):
            yield from _flatten(inner, pointer if isinstance(inner, str) else f"{pointer}/{index}")
    else:
        yield Fault(pointer, str(detail))


# The handlers of the URL configuration, for errors outside of the API's views.


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django itself refused."""
    problem = problem_of(exception) or _BAD_REQUEST
    if isinstance(exception, django_errors.DisallowedHost):
        problem = _wrong_host(request)
    return problem_response(problem) if _is_for_programs(request) else _problem_page(problem)


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that was forbidden outside of a view of the API."""
    if not _is_for_programs(request):
        return defaults.permission_denied(request, exception)
    return problem_response(_FORBIDDEN)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a request that fails the CSRF check; Django's CSRF_FAILURE_VIEW."""
    if not _is_for_programs(request):
        response: HttpResponse = csrf_views.csrf_failure(request, reason)
        return response
    return problem_response(_NO_CSRF)


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request for an unknown address."""
    if not _is_for_programs(request):
        return defaults.page_not_found(request, exception)
    hint = "" if request.path.endswith("/") else " Addresses end with a slash."
    detail = f"There is nothing at {request.path[:_LONGEST_ECHO]}.{hint}"
    return problem_response(Problem(404, NotFound.code, NotFound.title, detail))


def handler500(request: HttpRequest) -> HttpResponse:
    """Answer an error that nothing has caught; a database that is away gets its own problem.

    The answer tells nothing of a fault of this service: it is in the log, under the request's id.
    """
    error = sys.exception()
    problem = problem_of(error) if isinstance(error, Exception) else None
    if problem is not None and problem.status >= 500:
        return problem_response(problem) if _is_for_programs(request) else _problem_page(problem)
    if not _is_for_programs(request):
        return defaults.server_error(request)
    detail = f"The error is logged under the request id {current_request_id.get()}."
    return problem_response(Problem(500, "internal-error", "The orchestrator has an internal error.", detail))


def _problem_page(problem: Problem) -> HttpResponse:
    """Answer with a problem as a page for a person; the page needs no database."""
    content = defaults.ERROR_PAGE_TEMPLATE % {
        "title": escape_html(problem.title),
        "details": escape_html(problem.detail),
    }
    return HttpResponse(content, status=problem.status, headers=dict(problem.headers))


def _wrong_host(request: HttpRequest) -> Problem:
    """Return the problem for a request to a host name that is not in ALLOWED_HOSTS."""
    host = str(request.META.get("HTTP_HOST") or request.META.get("SERVER_NAME", ""))[:_LONGEST_ECHO]
    detail = (
        f"The service does not answer to the host {host!r}. The setting "
        "ALLOWED_HOSTS lists the hosts that it answers to."
    )
    return Problem(400, "wrong-host", "The host name is not known.", detail)


def _is_for_programs(request: HttpRequest) -> bool:
    return f"{request.path}/".startswith(("/api/", "/health/", "/*"))
