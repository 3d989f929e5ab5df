"""Is the service alive, and is it ready for work? Open to all, so it names what fails and says no more."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from runs.engines import get_engine
from runs.identity import is_any_alive

logger = logging.getLogger(__name__)

_GOOD_FOR_SECONDS = 5.0


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Answer 200: this process serves requests."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 when everything that work needs is there, else 503 with the names of what is not."""
    checks = readiness.checks()
    is_ready = all(checks.values())
    content = {
        "status": "ok" if is_ready else "failing",
        "checks": {name: "ok" if passed else "failing" for name, passed in checks.items()},
    }
    return JsonResponse(content, status=200 if is_ready else 503)


def check_database() -> None:
    """Ask the database for something."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def check_migrations() -> None:
    """Compare the database's tables with the code's."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise RuntimeError("there are migrations to apply")


def check_storage() -> None:
    """Write a file and delete it."""
    name = default_storage.save(f"health/{secrets.token_hex(8)}", ContentFile(b"ok"))
    default_storage.delete(name)


def check_engine() -> None:
    """Ask the engine of new runs what is wrong with it.

    Where the database is shared and the engine is a cluster's, controllers elsewhere do: this process may have no right
    to more than to look, and callbacks are to be answered while the cluster is away.
    """
    engine = get_engine(settings.ENGINE)
    if connection.vendor != "sqlite" and not engine.is_of_this_machine:
        return
    complaints = engine.check()
    if complaints:
        raise RuntimeError("; ".join(complaints))


def check_controller() -> None:
    """See whether a controller lives; where the database is shared, it may do so on another machine."""
    if connection.vendor == "sqlite" and not is_any_alive():
        raise RuntimeError("no controller runs")


CHECKS: dict[str, Callable[[], None]] = {
    "database": check_database,
    "migrations": check_migrations,
    "storage": check_storage,
    "engine": check_engine,
    "controller": check_controller,
}


class Readiness:
    """Carries the checks out, at most every few seconds however often anybody asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: dict[str, bool] = {}
        self._checked_at = float("-inf")

    def checks(self) -> dict[str, bool]:
        """Return which checks pass."""
        with self._lock:
            if time.monotonic() - self._checked_at > _GOOD_FOR_SECONDS:
                self._results = {name: _passes(name, check) for name, check in CHECKS.items()}
                self._checked_at = time.monotonic()
            return self._results

    def forget(self) -> None:
        """Check anew when asked next."""
        self._checked_at = float("-inf")


readiness = Readiness()


def _passes(name: str, check: Callable[[], None]) -> bool:
    try:
        check()
    except Exception:  # whatever it is, the answer is the same: not ready
        logger.exception("not ready: %s", name)
        return False
    return True
