"""Checks of paths and addresses as texts, without access to files or the network."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from policy.outline import SYMBOL

# A container runtime ends a path at a colon; braces belong to references that stayed open.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f:{}]")


def absolute_path_fault(text: str) -> str:
    """Return what is wrong with a path inside a container, or ''."""
    path = SYMBOL.sub("later", text) if not text.startswith("\0") else SYMBOL.sub("/later", text)
    if not path.startswith("/"):
        return "must be an absolute path"
    if not path.strip("/"):
        return "must not be the root of the container"
    return _parts_fault(path)


def relative_path_fault(text: str) -> str:
    """Return what is wrong with a path inside a volume, or ''."""
    path = SYMBOL.sub("later", text)
    return "must be a relative path" if path.startswith("/") else _parts_fault(path)


def _parts_fault(path: str) -> str:
    if ".." in path.split("/"):
        return "must not hold `..`"
    if _FORBIDDEN.search(path) or not path.isprintable():
        return "holds a character that is not allowed in a path, or a reference without a value"
    return "must have at most 1000 characters" if len(path) > 1000 else ""


_ORIGIN = re.compile(r"(?P<origin>https?://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?)(?P<rest>[/?][!-~]*)?")


def origin_of(address: str) -> str:
    """Return scheme, host and port of an address of http or https, '' for anything else, as with a user or other
    characters."""
    found = _ORIGIN.fullmatch(address)
    return found["origin"] if found and "{{" not in address and "\\" not in address else ""


def is_below(path: str, roots: Iterable[str]) -> bool:
    """Return whether a path is one of the roots or lies below one, as written, without resolving `..`."""
    if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
        return False
    path = _normal(path)
    return any(path == root or path.startswith(f"{root}/") for root in map(_normal, roots))


def _normal(path: str) -> str:
    # normpath keeps two slashes at the beginning.
    return posixpath.normpath("/" + path.lstrip("/"))


def folders_of(by_partner: Any, further: Iterable[str]) -> list[str]:
    """Return every folder of a table of data partners, and further ones. A wrong table is reported by its check."""
    tables = by_partner.values() if isinstance(by_partner, dict) else []
    folders = (folder for table in (*tables, further) if isinstance(table, list) for folder in table)
    return list(dict.fromkeys(folder for folder in folders if isinstance(folder, str)))


def folder_complaints(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the folders that an operator lists for each data partner."""
    for partner, roots in table.items():
        if not isinstance(roots, list) or not roots:
            yield f"{partner} must have a list of folders"
            continue
        for root in roots:
            if not isinstance(root, str) or not root.startswith("/") or not root.strip("/") or ".." in root.split("/"):
                yield f"{root!r} of {partner} must be an absolute path, without `..`, and not the root of the machine"
