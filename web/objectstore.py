"""An object store for files, with what django-storages lacks."""

from __future__ import annotations

import io
from typing import IO, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage
from storages.utils import clean_name


class ObjectStorage(S3Storage):  # type: ignore[misc] # django-storages has no types
    """Reads parts of an object without the rest, and raises OSError as other storages do."""

    def open_part(self, name: str, part: range) -> IO[bytes]:
        """Open the bytes of an object in the range; nothing else is fetched."""
        if not part:
            return io.BytesIO()
        key = self._normalize_name(clean_name(name))
        try:
            found = self.bucket.Object(key).get(Range=f"bytes={part.start}-{part.stop - 1}")
        except (BotoCoreError, ClientError) as error:
            raise _as_os_error(error, name) from error
        return cast(IO[bytes], found["Body"])

    def delete(self, name: str) -> None:
        """Delete an object. Raises OSError."""
        try:
            super().delete(name)
        except (BotoCoreError, ClientError) as error:
            raise _as_os_error(error, name) from error

    def _save(self, name: str, content: Any) -> str:
        try:
            return str(super()._save(name, content))
        except (BotoCoreError, ClientError) as error:
            raise _as_os_error(error, name) from error


def _as_os_error(error: Exception, name: str) -> OSError:
    status = error.response["ResponseMetadata"].get("HTTPStatusCode") if isinstance(error, ClientError) else None
    if status == 404:
        return FileNotFoundError(f"{name} is not in the object store")
    return OSError(f"the object store failed on {name}: {error}")
