"""Idempotency-Key: a POST that is sent twice is done once.

The first request under a key stores its digest and takes a lease. Its answer is kept for a day and repeated. A lease
ends after a time, or with its process, so a process that dies does not block its key. What it had created by then is
stored in the same transaction (web.once) and answered, not created again. Answers that say nothing about the request
itself (5XX, 401, 403) are not kept: the next try is a first one. A lease that could not be released, since the database
was away, is released once the database is back.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError, IntegrityError, InterfaceError, connection, transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.views import APIView

from orchestrator_api.middleware import GetResponse
from orchestrator_api.models import IdempotencyRecord
from orchestrator_api.problems import problem_of, problem_response
from web.bodies import limit_size
from web.errors import Conflict, Fault, InvalidInput, KeyReused
from web.grants import Role, grant_of
from web.lives import REQUESTS, has_ended, own_name
from web.once import noting

logger = logging.getLogger(__name__)

_KEY = re.compile(r"[!-~]{1,255}")
_KEPT_BYTES = 8 * 1024**2
_NOT_KEPT = (401, 403)
_TRY_AGAIN_SECONDS = 0.5
_TRIES = 3


class IdempotencyMiddleware:
    """Answers a repeated POST under /api/ with its first answer."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        key = request.headers.get("Idempotency-Key")
        if key is None or request.method != "POST" or not request.path_info.startswith("/api/"):
            return self.get_response(request)
        principal = _principal(request)
        if principal is None:
            # The view refuses the caller.
            return self.get_response(request)
        try:
            if not _KEY.fullmatch(key):
                raise InvalidInput("Idempotency-Key must be 1 to 255 visible ASCII characters.")
            limit_size(request)
            record = _claim(_new_record(principal, key, content_digest(request)))
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                raise
            return problem_response(problem)
        if record.status is not None:
            return _replay(record)
        if record.created_address:
            return self._found(request, record)
        return self._first(request, record)

    def _first(self, request: HttpRequest, record: IdempotencyRecord) -> HttpResponseBase:
        try:
            with noting(partial(_note_created, record)):
                response = self.get_response(request)
        except BaseException:
            _forget(record)
            raise
        if not _is_kept(response):
            _forget(record)
            return response
        with _given_back_later(record):
            _keep(record, response)
        return response

    def _found(self, request: HttpRequest, record: IdempotencyRecord) -> HttpResponseBase:
        """Answer with the object that a request created before its process died."""
        kept = (
            "SCRIPT_NAME",
            "SERVER_",
            "REMOTE_",
            "HTTP_AUTHORIZATION",
            "HTTP_COOKIE",
            "HTTP_HOST",
            "HTTP_X_FORWARDED",
            "wsgi.",
        )
        environ = {name: value for name, value in request.META.items() if name.startswith(kept)}
        # WSGI has the bytes of a path as characters (PEP 3333).
        path = record.created_address.encode().decode("latin-1")
        reading = WSGIRequest({**environ, "REQUEST_METHOD": "GET", "PATH_INFO": path, "wsgi.input": io.BytesIO()})
        # Set by the middleware before this one.
        for name in ("session", "user", "auser", "_messages"):
            if hasattr(request, name):
                setattr(reading, name, getattr(request, name))
        response = self.get_response(reading)
        with _given_back_later(record):
            if response.status_code == 200:
                response.status_code = 201
                response["Location"] = reading.build_absolute_uri()
                _keep(record, response)
            else:
                _release(record)
        return response


def content_digest(request: HttpRequest) -> str:
    """Return the SHA-256 of what a request asks for: method, address and content, whatever its multipart boundary."""
    digest = hashlib.sha256()
    _add(digest, [request.method or "", request.get_full_path().encode()])
    if request.content_type == "multipart/form-data":
        for name in sorted(request.POST):
            _add(digest, ["field", name, *request.POST.getlist(name)])
        for name in sorted(request.FILES):
            for upload in request.FILES.getlist(name):
                content = hashlib.sha256()
                for chunk in upload.chunks():
                    content.update(chunk)
                upload.seek(0)
                _add(digest, ["file", name, str(upload.name), content.digest()])
    else:
        _add(digest, [request.content_type or "", request.body])
    return digest.hexdigest()


def _add(digest: hashlib._Hash, parts: Iterable[str | bytes]) -> None:
    """Add parts unambiguously: each after its length."""
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)


def _principal(request: HttpRequest) -> str | None:
    """Return the sender of a request, or None for an unknown one."""
    view_request = Request(request, authenticators=[kind() for kind in APIView.authentication_classes])
    try:
        user, grant = view_request.user, grant_of(view_request)
    except APIException:
        return None
    if grant is not None:
        of_workflow = f"workflow:{grant.owner}:{grant.attempt}"
        # An answer for one role is not for another.
        return of_workflow if grant.role is Role.WORKFLOW else f"{of_workflow}:{grant.role}:{_short(grant.partner)}"
    return f"user:{user.pk}" if user.is_authenticated else None


def _short(text: str) -> str:
    """Return a text of any length as one that fits into a column."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _new_record(principal: str, key: str, digest: str) -> IdempotencyRecord:
    now = timezone.now()
    return IdempotencyRecord(
        principal=principal,
        key=key,
        digest=digest,
        leased_until=now + timedelta(seconds=settings.IDEMPOTENCY_LEASE_SECONDS),
        leased_by=own_name(),
        expires_at=now + timedelta(seconds=settings.IDEMPOTENCY_KEY_LIFETIME_SECONDS),
    )


def _claim(mine: IdempotencyRecord) -> IdempotencyRecord:
    """Return the record of a key: answered, or for this request to answer. Raises KeyReused and Conflict."""
    now = timezone.now()
    # After a lost answer to a COMMIT its outcome is unknown.
    with _given_back_later(mine), transaction.atomic():
        IdempotencyRecord.objects.filter(expires_at__lt=now).delete()
        record = _stored(mine)
        if record is mine:
            return mine
        if record.digest != mine.digest:
            raise KeyReused(faults=[Fault("/headers/Idempotency-Key", "was already used for other content")])
        if record.leased_until is not None:
            if record.leased_until > now and not has_ended(REQUESTS, record.leased_by):
                raise Conflict("The first request with this Idempotency-Key is still in progress.")
            record.leased_until = mine.leased_until
            record.leased_by = mine.leased_by
            record.save(update_fields=["leased_until", "leased_by"])
        return record


def _stored(mine: IdempotencyRecord) -> IdempotencyRecord:
    """Return the record of a key, locked; it is `mine` where the key had none."""
    for _ in range(_TRIES):
        try:
            with transaction.atomic():
                mine.save(force_insert=True)
            return mine
        except IntegrityError:
            known = IdempotencyRecord.objects.select_for_update().filter(principal=mine.principal, key=mine.key)
            if record := known.first():
                return record
            # It was deleted in this moment, so the key is free.
    raise Conflict("Other requests keep using this Idempotency-Key; try again.")


def _is_kept(response: HttpResponseBase) -> bool:
    return (
        isinstance(response, HttpResponse)
        and response.status_code < 500
        and response.status_code not in _NOT_KEPT
        and len(response.content) <= _KEPT_BYTES
    )


def _keep(record: IdempotencyRecord, response: HttpResponseBase) -> None:
    IdempotencyRecord.objects.filter(_still_mine(record)).update(
        leased_until=None,
        status=response.status_code,
        content_type=response.get("Content-Type", ""),
        body=getattr(response, "content", b""),
    )


def _note_created(record: IdempotencyRecord, address: str) -> None:
    if not IdempotencyRecord.objects.filter(_still_mine(record)).update(created_address=address):
        raise Conflict("Another request with this Idempotency-Key has taken over.")


def _release(record: IdempotencyRecord) -> None:
    """Release the lease, so that the next repetition tries at once; keep what was created."""
    IdempotencyRecord.objects.filter(_still_mine(record)).update(leased_until=timezone.now())


def _forget(record: IdempotencyRecord) -> None:
    """Let the next repetition be a first one, unless an object was created."""
    with _given_back_later(record):
        IdempotencyRecord.objects.filter(_still_mine(record), created_address="").delete()
        _release(record)


@contextmanager
def _given_back_later(record: IdempotencyRecord) -> Iterator[None]:
    """Release a lease once the database is back, if it goes away inside the block."""
    try:
        yield
    except (DatabaseError, InterfaceError):
        _leftovers.add(record)
        raise


class _Leftovers:
    """Leases to release, by a thread that lives as long as there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[IdempotencyRecord] = []
        self._is_at_work = False

    def add(self, record: IdempotencyRecord) -> None:
        with self._lock:
            if record not in self._records:
                self._records.append(record)
            if not self._is_at_work:
                self._is_at_work = True
                threading.Thread(target=self._work, name="leases", daemon=True).start()

    def _work(self) -> None:
        while record := self._next():
            try:
                IdempotencyRecord.objects.filter(_still_mine(record), created_address="").delete()
                _release(record)
            except (DatabaseError, InterfaceError):
                connection.close()
                time.sleep(_TRY_AGAIN_SECONDS)
            else:
                with self._lock:
                    self._records.remove(record)
        connection.close()

    def _next(self) -> IdempotencyRecord | None:
        """Return a lease that has not expired, or note that there is none."""
        now = timezone.now()
        with self._lock:
            self._records = [each for each in self._records if each.leased_until and each.leased_until > now]
            self._is_at_work = bool(self._records)
            return self._records[0] if self._records else None


_leftovers = _Leftovers()


def _still_mine(record: IdempotencyRecord) -> Q:
    # A request that took longer than its lease may find that another one has taken over. Not compared by the row's id,
    # which is unknown after a COMMIT without an answer.
    return Q(principal=record.principal, key=record.key, leased_by=record.leased_by, leased_until=record.leased_until)


def _replay(record: IdempotencyRecord) -> HttpResponse:
    response = HttpResponse(bytes(record.body), status=record.status, content_type=record.content_type)
    response["Idempotent-Replayed"] = "true"
    return response
