"""Environment variables whose values are checked, each fault naming its variable. No Django."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Collection
from pathlib import Path
from typing import Any

from orchestrator_api.networks import Networks


def positive(env: Any, name: str, default: int) -> int:
    """Return a whole number above zero. Raises ValueError."""
    number: int = env.int(name, default=default)
    if number < 1:
        raise ValueError(f"{name} must be at least 1, not {number}")
    return number


def one_of(env: Any, name: str, values: Collection[str], default: str) -> str:
    """Return one of some words. Raises ValueError."""
    value: str = env.str(name, default=default).lower()
    if value not in values:
        raise ValueError(f"{name} must be one of {', '.join(values)}, not {value!r}")
    return value


def networks(env: Any, name: str, default: Collection[str]) -> Networks:
    """Return ranges of addresses, each an address or `address/bits`, separated by commas. Raises ValueError."""
    found = []
    for text in env.list(name, default=list(default)):
        try:
            found.append(ipaddress.ip_network(text.strip()))
        except ValueError as error:
            raise ValueError(f"{name}: {text!r} is no address and no range of addresses ({error})") from error
    return tuple(found)


def certificates(env: Any, name: str) -> str:
    """Return the text of a file of certificates (PEM), empty where none is named. Raises ValueError."""
    path = env.str(name, default="")
    if not path:
        return ""
    try:
        text = Path(path).read_text(encoding="ascii")
        ssl.create_default_context(cadata=text)
    except (OSError, ValueError) as error:
        raise ValueError(f"{name}: {path!r} is no file of certificates (PEM): {error}") from error
    return text
