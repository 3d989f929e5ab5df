"""Why a command cannot use its database, in one line instead of a traceback."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from orchestrator_api.environment.shown import one_line


def complaint_about_database() -> str:
    """Return why the database cannot be used, with the settings that name it; '' where it can.

    To be called after a failure: it connects anew.
    """
    connection.close()
    try:
        connection.ensure_connection()
        executor = MigrationExecutor(connection)
        is_behind = bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError as error:
        return f"{_place()} cannot be opened: {_without_password(str(error))}"
    return f"{_place()} lacks tables: run `manage.py prepare`" if is_behind else ""


def _place() -> str:
    where = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"the database {one_line(str(where['NAME']), 200)} (DATABASE_URL, DATABASE_NAME or DATA_DIR)"
    address = f"{where['NAME']} at {where['HOST'] or 'this machine'}:{where['PORT'] or 5432}"
    return f"the database {one_line(address, 200)} (DATABASE_URL, or DATABASE_HOST and the others of its kind)"


def _without_password(message: str) -> str:
    password = str(connection.settings_dict.get("PASSWORD") or "")
    said = " ".join(message.split())
    return one_line(said.replace(password, "…") if password else said, 300)
