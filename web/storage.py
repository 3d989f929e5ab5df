"""Stored files that are kept or deleted with their transaction, even if the process dies (web.journal)."""

from __future__ import annotations

import errno
import logging
import posixpath
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.core.files.base import File
from django.core.files.storage import Storage
from django.db import transaction
from django.db.models.fields.files import FieldFile

from web.errors import StorageFull
from web.journal import Note

logger = logging.getLogger(__name__)

_BLOCK_BYTES = 256 * 1024
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Saved(list[tuple[Storage, str]]):
    """The files of one block, and the note that outer and inner blocks share."""

    def __init__(self, note: Note) -> None:
        super().__init__()
        self.note = note


_saved: ContextVar[_Saved | None] = ContextVar("stored_files", default=None)


@contextmanager
def stored_files() -> Iterator[None]:
    """Delete the files that `save` stored inside the block if the block raises.

    Put it around the transaction, so that a failing COMMIT counts too. Blocks may be nested: files of an inner block
    are also deleted if an outer one fails. Raises StorageFull in place of the system's own error.
    """
    outer = _saved.get()
    mine = _Saved(outer.note if outer is not None else Note())
    token = _saved.set(mine)
    try:
        with _storage_errors():
            yield
    except BaseException:
        for storage, name in mine:
            _delete(storage, name)
        raise
    else:
        if outer is not None:
            outer.extend(mine)
    finally:
        _saved.reset(token)
        if outer is None:
            mine.note.remove()


def save(field_file: FieldFile, name: str, upload: File[Any]) -> None:
    """Store an upload under a unique name and put it into its field; the row is not saved.

    Works only inside `stored_files`. Raises StorageFull.
    """
    saved = _saved.get()
    if saved is None:
        raise RuntimeError("save() needs a stored_files() block around it")
    wanted = field_file.field.generate_filename(field_file.instance, name)
    folder, base = posixpath.split(wanted)
    # The unique name is known before the first byte is written, so a write that breaks off can be undone.
    unique = posixpath.join(folder, f"{secrets.token_hex(8)}-{base[-40:]}")
    storage = field_file.storage
    saved.append((storage, unique))
    upload.seek(0)
    with _storage_errors():
        saved.note.add(unique)
        stored = storage.save(unique, upload, max_length=field_file.field.max_length)
    if stored != unique:
        saved.append((storage, stored))
    setattr(field_file.instance, field_file.field.attname, stored)
    field_file.name = stored
    field_file._committed = True  # type: ignore[attr-defined]


def is_same_file(stored: FieldFile, upload: File[Any]) -> bool:
    """Return whether a stored file has the same contents as an upload."""
    try:
        if not stored or stored.size != upload.size:
            return False
        with stored.storage.open(stored.name or "", "rb") as known:
            # In blocks of one size: the upload's own blocks may have any size.
            blocks = (
                known.read(_BLOCK_BYTES) == upload.read(_BLOCK_BYTES) for _ in range(0, stored.size, _BLOCK_BYTES)
            )
            upload.seek(0)
            return all(blocks)
    except FileNotFoundError:
        return False


def delete_after_commit(*field_files: FieldFile) -> None:
    """Delete stored files once the present transaction is committed; at once if there is none."""
    files = [(field_file.storage, str(field_file.name)) for field_file in field_files if field_file]
    if not files:
        return
    note = Note()
    # Noted before the rows are deleted; if the rows stay, the note is harmless: they still refer to the files.
    try:
        note.add(*(name for _, name in files))
    except OSError:
        # A deletion must also be possible on a full disk.
        logger.warning("the deletion of stored files could not be noted in the journal", exc_info=True)

    def delete() -> None:
        for storage, name in files:
            _delete(storage, name)
        note.remove()

    transaction.on_commit(delete, robust=True)


def _delete(storage: Storage, name: str) -> None:
    try:
        storage.delete(name)
    except OSError:
        logger.exception("a stored file could not be deleted", extra={"file": name})


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull("The disk or the quota of the storage is full; nothing was stored.") from error
        raise
