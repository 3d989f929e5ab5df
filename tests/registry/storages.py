"""A disk that is full after the first bytes."""

import errno
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage


class NearlyFullStorage(FileSystemStorage):
    """Takes user variables, and breaks off in the middle of an archive as a full disk does."""

    def _save(self, name: str, content: Any) -> str:
        if not name.endswith(".zip"):
            return super()._save(name, content)
        super()._save(name, ContentFile(b"the first bytes"))
        raise OSError(errno.ENOSPC, "No space left on device")
