"""`python -m runtime.http_artifacts '<JSON>'`: fetch the artifacts of a pod that have a URL.

Runs as the pod's first container, so it reaches only what the pod reaches, wherever an address or a
redirect leads. Argument: a list of `{name, url, path, optional, mode, unpack, headers}`.
"""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from typing import Any

TIMEOUT_SECONDS = 60
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main(arguments: list[str]) -> int:
    """Fetch each artifact; return 1 where a required one cannot be fetched."""
    for artifact in json.loads(arguments[0]):
        try:
            fetch(artifact)
        except (OSError, ValueError, tarfile.TarError) as error:
            print(f"artifact {artifact['name']}: {artifact['url']} cannot be fetched: {error}", file=sys.stderr)
            if not artifact.get("optional"):
                return 1
    return 0


def fetch(artifact: dict[str, Any]) -> None:
    """Write an artifact to its path; an archive is unpacked, as in Argo. Raises OSError."""
    target = Path(artifact["path"])
    url = str(artifact["url"])
    if not url.startswith(("http://", "https://")):
        raise ValueError("the URL must begin with http:// or https://")
    request = urllib.request.Request(url, headers={one["name"]: one["value"] for one in artifact.get("headers") or ()})  # noqa: S310
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        content = Path(folder, "content")
        with _OPENER.open(request, timeout=TIMEOUT_SECONDS) as answer, content.open("wb") as file:
            shutil.copyfileobj(answer, file)
        if artifact.get("unpack", True) and tarfile.is_tarfile(content):
            content = _unpacked(content, Path(folder, "unpacked"))
        else:
            content.chmod(int(artifact.get("mode") or 0o644) & 0o777)
        content.rename(target)


def _unpacked(archive: Path, folder: Path) -> Path:
    """Return the content of an archive: its only entry, else a directory of all."""
    folder.mkdir(mode=0o755)
    with tarfile.open(archive) as opened:
        # Python's own filter is not in every 3.11.
        for member in opened:
            parts = PurePosixPath(member.name).parts
            if not (member.isreg() or member.isdir()) or member.name.startswith("/") or ".." in parts:
                raise ValueError(f"the archive holds {member.name!r}, which is not a regular file or folder")
            member.mode &= 0o777
            opened.extract(member, folder)
    entries = list(folder.iterdir())
    return entries[0] if len(entries) == 1 else folder


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
