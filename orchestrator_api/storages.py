"""The storage of files, from one setting: the file system, or an object store with S3's API."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

_STATIC = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
_FILES = {"BACKEND": "django.core.files.storage.FileSystemStorage"}


def storages_from_url(url: str) -> dict[str, Any]:
    """Return Django's STORAGES for a URL; an empty one is the file system below MEDIA_ROOT.

    `s3://[key:secret@]bucket[/prefix][?endpoint_url=…&region_name=…]`: the query holds options of django-storages.
    Without a key the SDK finds its credentials in its usual places. Raises ValueError.
    """
    if not url:
        return {"default": _FILES, "staticfiles": _STATIC}
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.hostname:
        raise ValueError("STORAGE_URL must be empty or look like s3://bucket/prefix")
    options: dict[str, Any] = {
        "bucket_name": parts.hostname,
        "location": parts.path.strip("/"),
        "default_acl": "private",
        "file_overwrite": False,
        "querystring_auth": True,
        **dict(parse_qsl(parts.query)),
    }
    if parts.username:
        options["access_key"] = unquote(parts.username)
        options["secret_key"] = unquote(parts.password or "")
    return {"default": {"BACKEND": "web.objectstore.ObjectStorage", "OPTIONS": options}, "staticfiles": _STATIC}
