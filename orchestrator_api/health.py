"""Is the service alive, and is it ready for work? It is open to all, so it names only which check fails, and why."""

from __future__ import annotations

import errno
import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import wraps
from urllib.parse import quote

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import InterfaceError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from orchestrator_api.problems import Problem, problem_response
from runs.engines import get_engine
from runs.identity import is_any_alive

logger = logging.getLogger(__name__)

_GOOD_FOR_SECONDS = 5.0
_LOCK_SECONDS = 2.0
_SQLITE_REASONS = {
    sqlite3.SQLITE_BUSY: "is locked",
    sqlite3.SQLITE_LOCKED: "is locked",
    sqlite3.SQLITE_READONLY: "is read-only",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_NOTADB: "is damaged",
    sqlite3.SQLITE_CANTOPEN: "is missing",
    sqlite3.SQLITE_FULL: "has no room",
    sqlite3.SQLITE_IOERR: "cannot be read or written",
}
_SYSTEM_REASONS = {
    errno.ENOSPC: "has no room",
    errno.EDQUOT: "has no room",
    errno.EROFS: "is read-only",
    errno.EACCES: "is not allowed",
    errno.EPERM: "is not allowed",
    errno.ENOENT: "is missing",
}


_NOT_ALLOWED = Problem(
    405,
    "method-not-allowed",
    "This method is not allowed here.",
    "Allowed methods: GET, HEAD.",
    headers={"Allow": "GET, HEAD"},
)


class NotReady(RuntimeError):
    """A check fails for a reason that is public."""


def _only_read(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    @csrf_exempt
    @wraps(view)
    def read(request: HttpRequest) -> HttpResponse:
        return view(request) if request.method in ("GET", "HEAD") else problem_response(_NOT_ALLOWED)

    return read


@never_cache
@_only_read
def live(request: HttpRequest) -> JsonResponse:
    """Answer 200: this process serves requests."""
    return JsonResponse({"status": "ok"})


@never_cache
@_only_read
def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 when every check passes, else 503 with the failed checks and their reasons."""
    failing = readiness.failing()
    content: dict[str, object] = {
        "status": "failing" if failing else "ok",
        "checks": {name: "failing" if name in failing else "ok" for name in CHECKS},
    }
    if failing:
        content["reasons"] = failing
    return JsonResponse(content, status=503 if failing else 200)


def check_database() -> None:
    """Write to SQLite by a separate connection; ask PostgreSQL whether it accepts writes.

    The write is a number in the file's header that nothing reads. It finds, in a second or two, a lock that is held for
    long, a full disk, and a file that is read-only, damaged at its beginning or missing.
    """
    if connection.vendor == "sqlite":
        # A connection of Django's would also wait for this process's own transactions.
        address = f"file:{quote(str(connection.settings_dict['NAME']))}?mode=rw"
        with closing(sqlite3.connect(address, uri=True, timeout=_LOCK_SECONDS, isolation_level=None)) as probe:
            probe.execute("BEGIN IMMEDIATE")
            probe.execute(f"PRAGMA user_version = {int(time.time()) & 0x7FFFFFFF}")
            probe.execute("COMMIT")
        return
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        if cursor.fetchone() != ("off",):
            raise NotReady("is read-only")


def check_migrations() -> None:
    """Compare the database's tables with the code's."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotReady("there are migrations to apply")


def check_storage() -> None:
    """Write a file and delete it."""
    name = default_storage.save(f"health/{secrets.token_hex(8)}", ContentFile(b"ok"))
    default_storage.delete(name)


def check_engine() -> None:
    """Ask the engine of new runs what is wrong with it.

    Where the database is shared and the engine is a cluster's, the controllers check it: this process may only have the
    right to read, and callbacks are answered while the cluster is away.
    """
    engine = get_engine(settings.ENGINE)
    if connection.vendor != "sqlite" and not engine.is_of_this_machine:
        return
    complaints = engine.check()
    if complaints:
        raise RuntimeError("; ".join(complaints))


def check_controller() -> None:
    """Check that a controller runs; where the database is shared, it may run on another machine."""
    if connection.vendor == "sqlite" and not is_any_alive():
        raise NotReady("no controller runs")


CHECKS: dict[str, Callable[[], None]] = {
    "database": check_database,
    "migrations": check_migrations,
    "storage": check_storage,
    "engine": check_engine,
    "controller": check_controller,
}


class Readiness:
    """Runs the checks, at most once in a few seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failing: dict[str, str] = {}
        self._checked_at = float("-inf")

    def failing(self) -> dict[str, str]:
        """Return the checks that do not pass, each with its reason."""
        with self._lock:
            if time.monotonic() - self._checked_at > _GOOD_FOR_SECONDS:
                reasons = {name: _reason(name, check) for name, check in CHECKS.items()}
                self._failing = {name: reason for name, reason in reasons.items() if reason}
                self._checked_at = time.monotonic()
            return self._failing

    def forget(self) -> None:
        """Discard the results, so that the next request runs the checks."""
        self._checked_at = float("-inf")


readiness = Readiness()


def _reason(name: str, check: Callable[[], None]) -> str:
    """Return why a check does not pass, as a public text; '' where it passes."""
    try:
        check()
    except Exception as error:  # whatever it is, the answer is the same: not ready
        logger.exception("not ready: %s", name)
        return _public_reason(error)
    return ""


def _public_reason(error: Exception) -> str:
    if isinstance(error, NotReady):
        return str(error)
    driver = error.__cause__ or error
    if (code := getattr(driver, "sqlite_errorcode", None)) is not None:
        return _SQLITE_REASONS.get(code & 0xFF, "does not work")
    if isinstance(error, OSError):
        return _SYSTEM_REASONS.get(error.errno or 0, "does not work")
    return "does not answer" if isinstance(error, OperationalError | InterfaceError) else "does not work"
