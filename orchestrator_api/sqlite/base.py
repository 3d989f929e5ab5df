"""Django's SQLite backend, with short waits for the write lock.

SQLite itself looks again after 1, 2, 5, 10 and up to 100 milliseconds (`sqliteDefaultBusyCallback` in its main.c), so
that beside a busy controller a request could miss several chances to write. Here it looks every millisecond. A niced
process gives way here too: it leaves other processes time for a look between two of its transactions.

SQLite goes on writing to a file that somebody has removed or replaced, and that data is lost; where a file is missing,
it makes an empty one. Here a connection ends when its file is no longer in its place, and a process that has used the
database makes no new one.

SQLite knows only the case of ASCII letters. Here lookups that ignore case compare capitals of all scripts, as
PostgreSQL does: letter by letter, so that `ß` stays what it is.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.backends.sqlite3.operations import DatabaseOperations as SQLiteOperations

_LOOK_AGAIN_SECONDS = 0.001
_GAP_SECONDS = 0.0025
_turn = threading.Lock()
# The files that this process has been connected to.
_opened: set[str] = set()


class _Gap:
    """The time after a turn of this process in which a niced one begins no other; guarded by the turn."""

    def __init__(self) -> None:
        self._until = float("-inf")

    def begin(self) -> None:
        if os.getpriority(os.PRIO_PROCESS, 0) > 0:
            self._until = time.monotonic() + _GAP_SECONDS

    def wait(self) -> None:
        if (left := self._until - time.monotonic()) > 0:
            time.sleep(left)


_gap = _Gap()


_CAPITALS = "CAPITALS"
_IGNORE_CASE = ("iexact", "icontains", "istartswith", "iendswith")


def capitals(text: object) -> str | None:
    """Return a text in capitals, each letter by itself; other values as their text, None for NULL."""
    if text is None:
        return None
    text = str(text)
    if text.isascii():
        return text.upper()
    return "".join(capital if len(capital := letter.upper()) == 1 else letter for letter in text)


class DatabaseOperations(SQLiteOperations):
    """Turns both sides of a lookup that ignores case into capitals."""

    def lookup_cast(self, lookup_type: str, internal_type: str | None = None) -> str:
        return f"{_CAPITALS}(%s)" if lookup_type in _IGNORE_CASE else super().lookup_cast(lookup_type, internal_type)


class DatabaseWrapper(base.DatabaseWrapper):
    """See the module's docstring."""

    ops_class = DatabaseOperations
    operators = {
        lookup: sql.replace("%s", f"{_CAPITALS}(%s)") if lookup in _IGNORE_CASE else sql
        for lookup, sql in base.DatabaseWrapper.operators.items()
    }
    pattern_ops = {
        lookup: sql.replace("UPPER(", f"{_CAPITALS}(") for lookup, sql in base.DatabaseWrapper.pattern_ops.items()
    }
    _has_turn = False
    _file: tuple[int, int] | None = None

    def get_new_connection(self, conn_params: dict[str, Any]) -> sqlite3.Connection:
        """Connect. Raises SQLite's own errors, also for a database file that existed before and is gone."""
        path = str(conn_params["database"])
        if path in _opened and _identity(path) is None:
            raise sqlite3.OperationalError("the database file is gone")
        made: sqlite3.Connection = super().get_new_connection(conn_params)
        made.create_function(_CAPITALS, 1, capitals, deterministic=True)
        self._file = _identity(path)
        if self._file is not None:
            _opened.add(path)
        return made

    def ensure_connection(self) -> None:
        """Connect where needed: also where the file is no longer the connected one."""
        is_settled = self.connection is None or self._file is None or self.in_atomic_block
        if not is_settled and _identity(str(self.settings_dict["NAME"])) != self._file:
            self.close()
        super().ensure_connection()

    def _start_transaction_under_autocommit(self) -> None:
        """Begin a transaction. Raises SQLite's own error when it is still locked after the option `timeout`."""
        timeout_seconds = self.settings_dict["OPTIONS"].get("timeout", 5.0)
        give_up_at = time.monotonic() + timeout_seconds
        with self.wrap_database_errors:
            if not _turn.acquire(timeout=timeout_seconds):
                raise sqlite3.OperationalError("database is locked")
            self._has_turn = True
            try:
                _gap.wait()
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
            _gap.begin()
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


def _identity(path: str) -> tuple[int, int] | None:
    """Return which file a path names now; None for none, and for a database in memory."""
    try:
        status = os.stat(path)  # noqa: PTH116 - at each cursor, so without the detour
    except OSError:
        return None
    return status.st_dev, status.st_ino
