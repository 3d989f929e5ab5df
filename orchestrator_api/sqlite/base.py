"""Django's SQLite backend, but a transaction that waits for its turn gets it soon after it is free.

SQLite itself looks again after 1, 2, 5, 10 and up to 100 milliseconds (`sqliteDefaultBusyCallback` in its main.c), so
that beside a busy controller a request could sleep through several turns. Here it looks every millisecond.
"""

from __future__ import annotations

import sqlite3
import time

from django.db.backends.sqlite3 import base

_LOOK_AGAIN_SECONDS = 0.001


class DatabaseWrapper(base.DatabaseWrapper):
    """See the module's docstring."""

    def _start_transaction_under_autocommit(self) -> None:
        """Begin a transaction. Raises what SQLite says when it is still locked after the option `timeout`."""
        connection: sqlite3.Connection = self.connection
        options = self.settings_dict["OPTIONS"]
        mode = options.get("transaction_mode", "DEFERRED")
        timeout_seconds = options.get("timeout", 5.0)
        give_up_at = time.monotonic() + timeout_seconds
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            with self.wrap_database_errors:
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
            connection.execute(f"PRAGMA busy_timeout = {int(timeout_seconds * 1000)}")
