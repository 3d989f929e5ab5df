"""Uploads that wait on a disk, which may fill up meanwhile."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from django.core.files.uploadhandler import TemporaryFileUploadHandler


class TidyUploadHandler(TemporaryFileUploadHandler):
    """Removes at once what came of a file that can't be written to its end."""

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
