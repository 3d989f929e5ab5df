"""Notes of the stored files that a process is writing or deleting, so that no file is left behind if it dies.

A note is a small file under DATA_DIR/journal, created before the first byte is written (or the row is deleted) and
removed when the database and the storage agree again. The next process that starts reads the notes of dead processes
and deletes the files that no row refers to.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.files.storage import default_storage
from django.db.models import FileField, Model

from web import lives

logger = logging.getLogger(__name__)


class Note:
    """The names of stored files that may not be in a row yet, or no longer."""

    def __init__(self) -> None:
        self._path = _folder() / f"{lives.own_name()}.{secrets.token_hex(8)}"

    def add(self, *names: str) -> None:
        """Add files to the note."""
        with self._path.open("a") as file:
            file.write("".join(f"{name}\n" for name in names))

    def remove(self) -> None:
        """Remove the note: rows and files agree."""
        self._path.unlink(missing_ok=True)


def settle() -> int:
    """Delete the files that dead processes were writing or deleting and no row refers to; return their number."""
    deleted = 0
    for name in lives.dead(lives.REQUESTS):
        for path in _folder().glob(f"{name}.*"):
            deleted += sum(_settle(file) for file in _names_in(path))
            path.unlink(missing_ok=True)
        lives.forget(lives.REQUESTS, name)
    return deleted


def _settle(name: str) -> bool:
    if any(model._default_manager.filter(**{field: name}).exists() for model, field in _file_fields()):
        return False
    if not default_storage.exists(name):
        return False
    default_storage.delete(name)
    logger.warning("deleted a stored file that a dead process had left behind", extra={"file": name})
    return True


def _names_in(path: Path) -> Sequence[str]:
    with suppress(FileNotFoundError):
        # A line without its end was being written when the process died: the file of that name was not begun.
        return [line[:-1] for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return ()


def _file_fields() -> Iterator[tuple[type[Model], str]]:
    for model in apps.get_models():
        for field in model._meta.get_fields():
            if isinstance(field, FileField):
                yield model, field.name


def _folder() -> Path:
    folder = Path(settings.DATA_DIR) / "journal"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
