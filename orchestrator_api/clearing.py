"""Delete all data of an installation: Workflows, channels, rows and files. Nothing may run meanwhile.

What is kept outside of the database goes first: while an engine or a broker does not answer, the rows that name it
stay. Files go last, since a file without a row does no harm. After an interruption, the next call does the rest.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from engines.base import EngineError
from engines.local import trees
from federated.adapters.base import ChannelUnavailable
from federated.models import Channel
from federated.services import channel_close
from orchestrator_api.privacy import ENGINE_FOLDER
from runs.engines import get_engine
from runs.identity import is_any_alive
from web import lives

# Below these names lie the files of all models' FileFields, and what the readiness check leaves when it is killed: a
# storage may hold files of others beside them.
STORED = ("executions", "federated", "health", "registry", "runs", "schemas")
# Below DATA_DIR: unfinished work, and tokens whose rows are gone.
_UNDER_WAY = ("uploads", "journal", "requests", "controllers", "wakeups")
_TOKENS = ("token", "registry-token")
# The lock that the service holds while it runs (orchestrator_api.standalone).
_LOCK = "standalone.lock"


class ServiceRuns(Exception):
    """The data is in use; the text names the user."""


class NotCleared(Exception):
    """An engine or a channel could not be cleared; database and files are unchanged."""


@contextmanager
def service_kept_away() -> Iterator[None]:
    """Keep the service of this data folder from starting. Raises ServiceRuns where one runs."""
    with Path(settings.DATA_DIR, _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceRuns(f"The service is running on {settings.DATA_DIR}.") from None
        if is_any_alive():
            raise ServiceRuns(f"A controller is running on {settings.DATA_DIR}.")
        if lives.is_any_alive(lives.REQUESTS):
            raise ServiceRuns(f"The API is running on {settings.DATA_DIR}.")
        if sessions := _other_sessions():
            raise ServiceRuns(f"Other sessions are connected to the database ({sessions}).")
        yield


def data_clear(*, with_tables: bool = False) -> None:
    """Delete every Workflow, channel, row and file of this installation, and the tables too where that is asked for.

    The secret stays. Raises NotCleared, and OSError for a file that stays when the rows are gone.
    """
    try:
        for alias in settings.ENGINES:
            engine = get_engine(alias)
            for name in [status.name for status in engine.list()]:
                engine.delete(name)
        for channel in Channel.objects.filter(cleared_at=None):
            channel_close(channel.pk)
    except EngineError as error:
        raise NotCleared(f"The engine {alias!r} cannot delete its Workflows: {error}") from error
    except ChannelUnavailable as error:
        raise NotCleared(f"The channels of federated trainings cannot be deleted: {error}") from error
    if with_tables:
        _unapply_migrations()
    else:
        call_command("flush", interactive=False, verbosity=0)
    _forget_deleted_rows()
    stored_files_clear()
    _clear_data_folder()


def stored_files_clear() -> None:
    """Delete every file that a row of this service may name. Raises OSError."""
    for folder in STORED:
        _clear_stored(PurePosixPath(folder))


def _unapply_migrations() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([(app, None) for app in sorted(executor.loader.migrated_apps)])


def _forget_deleted_rows() -> None:
    """Rewrite a SQLite database: until then deleted data stays readable in its file."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _clear_stored(folder: PurePosixPath) -> None:
    try:
        folders, files = default_storage.listdir(str(folder))
    except FileNotFoundError:
        return
    for name in files:
        default_storage.delete(str(folder / name))
    for name in folders:
        _clear_stored(folder / name)
    # On a file system the folders go too, but a link to another disk stays.
    with contextlib.suppress(OSError):
        default_storage.delete(str(folder))


def _clear_data_folder() -> None:
    data_dir = Path(settings.DATA_DIR)
    if (data_dir / ENGINE_FOLDER).exists():
        trees.remove(str(data_dir / ENGINE_FOLDER))
    for name in _UNDER_WAY:
        shutil.rmtree(data_dir / name, ignore_errors=True)
    for name in _TOKENS:
        (data_dir / name).unlink(missing_ok=True)


def _other_sessions() -> int:
    """Return how many other sessions are connected to the database, where the database knows."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return int(cursor.fetchone()[0])
