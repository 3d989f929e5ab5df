import os
import threading
from pathlib import Path

import pytest
from django.db import connection, transaction

from web.wakeups import Listener, notify, notify_on_commit, run_topic

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_listener_is_woken_once_by_what_was_told_of_its_topic():
    with Listener() as listener, Listener(run_topic(1)) as other:
        notify()
        notify()

        assert listener.wait(5)
        assert not listener.wait(0)
        assert not other.wait(0)


def test_topics_are_not_taken_for_one_another():
    with Listener(run_topic(1)) as one, Listener(run_topic(11)) as eleven:
        notify(run_topic(1))

        assert one.wait(5)
        assert not eleven.wait(0)


def test_a_wake_up_waits_for_the_commit():
    with Listener() as listener:
        with transaction.atomic():
            notify_on_commit()
            assert not listener.wait(0)
        assert listener.wait(5)


def test_what_is_rolled_back_wakes_nobody():
    with Listener() as listener:
        with pytest.raises(RuntimeError), transaction.atomic():
            notify_on_commit()
            raise RuntimeError
        assert not listener.wait(0)


def test_a_poke_from_another_thread_wakes():
    with Listener() as listener:
        threading.Timer(0.01, listener.poke).start()

        assert listener.wait(10)


@pytest.fixture
def sockets(settings, tmp_path, db):
    if settings.DATABASES["default"]["ENGINE"] != "orchestrator_api.sqlite":
        pytest.skip("the database has wake-ups of its own")
    settings.DATA_DIR = tmp_path
    return tmp_path / "wakeups"


def test_what_a_dead_process_left_is_cleared_away(sockets):
    Listener().close()
    with Listener() as listener:
        left = sockets / "wishes-0-0"
        left.unlink(missing_ok=True)
        # A socket whose process has died is a file that nobody answers at.
        os.link(next(sockets.glob("wishes-*")), left)
        next(path for path in sockets.glob("wishes-*") if path != left).unlink()
        assert left.exists()
        listener._source._socket.close()

        notify()

        assert not left.exists()
        listener._source._socket = type(listener._poke_sender)()


def test_nobody_reading_blocks_nobody(sockets):
    with Listener() as listener:
        for _ in range(3000):
            notify()

        assert listener.wait(0)


def test_a_long_path_is_no_obstacle(sockets, settings):
    settings.DATA_DIR = Path(settings.DATA_DIR) / ("long" * 30)

    with Listener() as listener:
        notify()
        assert listener.wait(5)


def test_a_connection_that_broke_is_made_anew(db):
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL has connections that break")
    with Listener() as listener:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                "AND datname = current_database() AND query LIKE 'LISTEN%'"
            )
        # The break itself may wake more than once.
        for _ in range(10):
            listener.wait(0.1)
        assert not listener.wait(0)

        notify()
        assert listener.wait(10)
