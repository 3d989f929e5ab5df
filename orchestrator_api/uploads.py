"""Temporary files of uploads: cleaned up when the disk is full and when their process dies."""

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
    """A temporary file whose name holds its process id, so that files of dead processes can be found."""

    def __init__(
        self, name: str, content_type: str, size: int, charset: str | None, content_type_extra: Any = None
    ) -> None:
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - it is closed with the upload
            prefix=f"{lives.own_name()}.", suffix=_SUFFIX, dir=settings.FILE_UPLOAD_TEMP_DIR
        )
        UploadedFile.__init__(self, file, name, content_type, size, charset, content_type_extra)


class TidyUploadHandler(TemporaryFileUploadHandler):
    """Removes a file at once when it cannot be written completely."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super(TemporaryFileUploadHandler, self).new_file(*args, **kwargs)
        self.file = OwnedUpload(self.file_name or "", self.content_type or "", 0, self.charset, self.content_type_extra)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        try:
            super().receive_data_chunk(raw_data, start)
        except OSError:
            path = Path(self.file.temporary_file_path())
            # The rest in a buffer cannot be written either.
            with suppress(OSError):
                self.file.close()
            path.unlink(missing_ok=True)
            raise


def tidy_up() -> int:
    """Delete upload files of processes that have ended; return how many. Call it before `settle`."""
    folder = Path(settings.FILE_UPLOAD_TEMP_DIR or tempfile.gettempdir())
    left = [path for name in lives.dead(lives.REQUESTS) for path in folder.glob(f"{name}.*{_SUFFIX}")]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)
