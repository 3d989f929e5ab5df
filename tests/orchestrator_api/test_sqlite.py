from __future__ import annotations

import threading

import pytest
from django.conf import settings
from django.db import OperationalError, connection, connections, transaction

from orchestrator_api.models import IdempotencyRecord
from orchestrator_api.sqlite import base

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(settings.DATABASES["default"]["ENGINE"] != "orchestrator_api.sqlite", reason="only SQLite"),
]


def in_a_transaction_elsewhere(begun: threading.Event, go: threading.Event) -> None:
    with transaction.atomic():
        IdempotencyRecord.objects.count()
        begun.set()
        go.wait(10)
    connections.close_all()


def test_a_transaction_waits_for_its_turn() -> None:
    begun, go = threading.Event(), threading.Event()
    other = threading.Thread(target=in_a_transaction_elsewhere, args=(begun, go))
    other.start()
    assert begun.wait(10)
    threading.Timer(0.1, go.set).start()

    with transaction.atomic():
        assert go.is_set()
        assert IdempotencyRecord.objects.count() == 0

    other.join()
    with connection.cursor() as cursor:
        timeout_milliseconds = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
    assert timeout_milliseconds == settings.DATABASES["default"]["OPTIONS"]["timeout"] * 1000


def test_a_transaction_that_waits_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Event(), threading.Event()
    other = threading.Thread(target=in_a_transaction_elsewhere, args=(begun, go))
    other.start()
    assert begun.wait(10)
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.05)

    with pytest.raises(OperationalError, match="database is locked"), transaction.atomic():
        pass

    go.set()
    other.join()


@pytest.mark.parametrize(("priority", "pauses"), [(5, 1), (0, 0)], ids=["niced", "not niced"])
def test_a_niced_process_leaves_others_time_between_two_turns(
    monkeypatch: pytest.MonkeyPatch, priority: int, pauses: int
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(base.os, "getpriority", lambda which, who: priority)
    monkeypatch.setattr(base, "_gap", base._Gap())
    monkeypatch.setattr(base.time, "monotonic", lambda: 100.0)
    monkeypatch.setattr(base.time, "sleep", slept.append)

    for _ in range(2):
        with transaction.atomic():
            IdempotencyRecord.objects.count()

    assert len(slept) == pauses
