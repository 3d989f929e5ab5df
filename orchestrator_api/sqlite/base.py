"""Django's SQLite backend, but a transaction that waits for its turn gets it soon after it is free.

SQLite itself looks again after 1, 2, 5, 10 and up to 100 milliseconds (`sqliteDefaultBusyCallback` in its main.c), so
that beside a busy controller a request could sleep through several turns. Here it looks every millisecond.
"""

from __future__ import annotations

import sqlite3
import threading
import time

from django.db.backends.sqlite3 import base

_LOOK_AGAIN_SECONDS = 0.001
_turn = threading.Lock()


class DatabaseWrapper(base.DatabaseWrapper):
    """See the module's docstring."""

    _has_turn = False

    def _start_transaction_under_autocommit(self) -> None:
        """Begin a transaction. Raises what SQLite says when it is still locked after the option `timeout`."""
        timeout_seconds = self.settings_dict["OPTIONS"].get("timeout", 5.0)
        give_up_at = time.monotonic() + timeout_seconds
        with self.wrap_database_errors:
            if not _turn.acquire(timeout=timeout_seconds):
                raise sqlite3.OperationalError("database is locked")
            self._has_turn = True
            try:
                self._begin(give_up_at, int(timeout_seconds * 1000))
            except BaseException:
                self._end_turn()
                raise

    def _begin(self, give_up_at: float, timeout_milliseconds: int) -> None:
        connection: sqlite3.Connection = self.connection
        mode = self.settings_dict["OPTIONS"].get("transaction_mode", "DEFERRED")
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    connection.execute(f"BEGIN {mode}")
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up_at:
                        raise
                    time.sleep(_LOOK_AGAIN_SECONDS)
                else:
                    return
        finally:
            connection.execute(f"PRAGMA busy_timeout = {timeout_milliseconds}")

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            _turn.release()

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]
        self._end_turn()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._end_turn()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._end_turn()
