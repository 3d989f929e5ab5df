"""Uploads that wait on a disk, which may fill up meanwhile, and whose process may die."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler

from web import lives

_SUFFIX = ".upload"


class OwnedUpload(TemporaryUploadedFile):
    """A file whose name says which process made it, so that the next one finds what a dead one has left."""

    def __init__(
        self, name: str, content_type: str, size: int, charset: str | None, content_type_extra: Any = None
    ) -> None:
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - it is closed with the upload
            prefix=f"{lives.own_name()}.", suffix=_SUFFIX, dir=settings.FILE_UPLOAD_TEMP_DIR
        )
        UploadedFile.__init__(self, file, name, content_type, size, charset, content_type_extra)


class TidyUploadHandler(TemporaryFileUploadHandler):
    """Removes at once what came of a file that can't be written to its end."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super(TemporaryFileUploadHandler, self).new_file(*args, **kwargs)
        self.file = OwnedUpload(self.file_name or "", self.content_type or "", 0, self.charset, self.content_type_extra)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        try:
            super().receive_data_chunk(raw_data, start)
        except OSError:
            path = Path(self.file.temporary_file_path())
            # What is still in a buffer has no room either.
            with suppress(OSError):
                self.file.close()
            path.unlink(missing_ok=True)
            raise


def tidy_up() -> int:
    """Delete what processes that have ended left of uploads; return how many files. Call it before `settle`."""
    folder = Path(settings.FILE_UPLOAD_TEMP_DIR or tempfile.gettempdir())
    left = [path for name in lives.dead(lives.REQUESTS) for path in folder.glob(f"{name}.*{_SUFFIX}")]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)
