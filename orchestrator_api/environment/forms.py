"""The forms of values: which text of a variable is expected, and how it is read.

A form's `read` raises ValueError; the message says what is wrong where `expected` alone does not. It quotes nothing
of the value, which may be a secret.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shlex
import ssl
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.argo.options import PREPARING
from engines.local.quantities import bytes_of
from orchestrator_api.environment.choices import FALSE, TRUE
from orchestrator_api.networks import Networks
from policy.images import pattern_complaint

# As Python's logging knows them too.
_OTHER_LEVELS = {"WARN": "WARNING", "FATAL": "CRITICAL"}
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?([0-9]{1,15}(\.[0-9]{0,15})?|\.[0-9]{1,15})")
_HOST = r"([A-Za-z0-9_]([-A-Za-z0-9._]{0,252})|\[[0-9A-Fa-f:.%]{2,60}\])"
_HOST_ONLY, _HOST_PORT = re.compile(_HOST), re.compile(rf"{_HOST}:([0-9]{{1,5}})")
_BIND = re.compile(r"unix:.+|fd://[0-9]+")
_ANY_HOST_PORT = re.compile(rf"{_HOST}?:([0-9]{{1,5}})")
# As Kubernetes names objects, namespaces and labels:
# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_OBJECT = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
LABEL = re.compile(_LABEL_PART)
_LABEL_KEY = re.compile(rf"([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_LABEL_PART}")
_TAG = re.compile(r"[A-Za-z0-9_][-A-Za-z0-9_.]{0,127}")
_REGISTRY = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]*(:[0-9]{1,5})?(/[A-Za-z0-9][-A-Za-z0-9._]*)*")
_ANYTHING = re.compile(r"\S(.*\S)?")
_TOKEN = re.compile(r"[!-~]*")
_TEN_YEARS_SECONDS = 10 * 366 * 24 * 3600
_MOST = 10**12
_PORTS = range(1, 2**16)


@dataclass(frozen=True)
class Form:
    """How a value has to look, in words, and how it is read. A secret is never shown."""

    expected: str
    read: Callable[[str], Any]
    is_secret: bool = False
    is_json: bool = False


def text(expected: str = "text") -> Form:
    """Return the form of any text on one line."""
    return Form(expected, _line)


def matching(pattern: re.Pattern[str], expected: str) -> Form:
    """Return the form of a text that a pattern describes as a whole; an empty one stands for the default."""

    def read(value: str) -> str:
        if value and not pattern.fullmatch(value):
            raise ValueError
        return value

    return Form(expected, read)


def whole(least: int = 1, most: int = _MOST) -> Form:
    """Return the form of a whole number."""

    def read(value: str) -> int:
        if not _WHOLE.fullmatch(value.strip()) or not least <= (found := int(value)) <= most:
            raise ValueError
        return found

    bound = "" if most == _MOST else f" to {most}"
    return Form(f"a whole number from {least}{bound}", read)


def seconds(least: int = 1) -> Form:
    """Return the form of a whole number of seconds, of ten years at most."""
    return whole(least, _TEN_YEARS_SECONDS)


def number() -> Form:
    """Return the form of a number above zero."""

    def read(value: str) -> float:
        if not _NUMBER.fullmatch(value.strip()) or not 0 < (found := float(value)) <= _TEN_YEARS_SECONDS:
            raise ValueError
        return found

    return Form("a number above 0", read)


def one_of(words: Collection[str]) -> Form:
    """Return the form of one of some words, in any case."""
    by_lower = {word.lower(): word for word in words}

    def read(value: str) -> str:
        if value.strip().lower() not in by_lower:
            raise ValueError
        return by_lower[value.strip().lower()]

    return Form(" or ".join(words) if len(words) < 3 else f"one of {', '.join(words)}", read)


def listed(read_one: Callable[[str], Any], expected: str, *, needed: bool = False) -> Form:
    """Return the form of a list separated by commas; spaces around its parts do not count, nor do empty parts."""

    def read(value: str) -> list[Any]:
        parts = [part.strip() for part in value.split(",")]
        found = [read_one(part) for part in parts if part]
        if needed and not found:
            raise ValueError("it is empty")
        return list(dict.fromkeys(found))

    return Form(f"{expected}, separated by commas", read)


def names(expected: str, pattern: re.Pattern[str] | None = None, *, needed: bool = False) -> Form:
    """Return the form of a list of names, which a pattern may describe."""

    def read_one(part: str) -> str:
        if pattern and not pattern.fullmatch(part):
            raise ValueError
        return _line(part)

    return listed(read_one, expected, needed=needed)


def json_object(example: str, complaints: Callable[[Any], Iterable[str]]) -> Form:
    """Return the form of a JSON object, and what else is wrong with one."""

    def read(value: str) -> Any:
        try:
            found = json.loads(value)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        except json.JSONDecodeError as error:
            raise ValueError(f"{error.msg}, at character {error.pos + 1}") from error
        if not isinstance(found, dict):
            raise ValueError
        for complaint in complaints(found):
            raise ValueError(complaint)
        return found

    return Form(f"a JSON object, such as `{example}`", read, is_json=True)


def host_port(value: str) -> str:
    """Return an address `host:port` as it is. Raises ValueError."""
    return _with_port(_HOST_PORT, value)


def _with_port(pattern: re.Pattern[str], value: str) -> str:
    found = pattern.fullmatch(value.strip())
    if not found or int(found[found.re.groups]) not in _PORTS:
        raise ValueError
    return value.strip()


def _host_maybe_port(value: str) -> str:
    return value.strip() if _HOST_ONLY.fullmatch(value.strip()) else host_port(value)


def _level(value: str) -> str:
    return str(one_of(LEVELS).read(_OTHER_LEVELS.get(value.strip().upper(), value)))


def _words(value: str) -> str:
    """Return options as they are. Raises ValueError for an unclosed quote."""
    shlex.split(_line(value))
    return value


def _bind(value: str) -> str:
    return value if _BIND.fullmatch(value) else _with_port(_ANY_HOST_PORT, value)


def _line(value: str) -> str:
    if any(character in value for character in "\r\n"):
        raise ValueError("it has more than one line")
    return value


def _flag(value: str) -> bool:
    word = value.strip().lower()
    if word not in (*TRUE, *FALSE, "on"):
        raise ValueError
    return word in (*TRUE, "on")


def _development(value: str) -> bool:
    """Return a word as a boolean: true for a few words, false for any other."""
    return value.strip().lower() in TRUE


def _quantity(least: int) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value and bytes_of(value) < least:
            raise ValueError
        return value

    return read


def _networks(value: str) -> Networks:
    return tuple(_network(part.strip()) for part in value.split(",") if part.strip())


def _network(part: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(part)
    except ValueError as error:
        raise ValueError from error


def _read_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError as error:
        raise ValueError(error.strerror) from error
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error


def _kubeconfig(value: str) -> str:
    """Return paths of which at least one can be read, as the Kubernetes client takes them."""
    if value and not any(os.access(Path(path).expanduser(), os.R_OK) for path in value.split(os.pathsep) if path):
        raise ValueError
    return value


def _certificate_file(path: str) -> str:
    _certificates(path)
    return path


def _certificates(path: str) -> str:
    """Return the text of a file of certificates, empty where none is named."""
    if not path:
        return ""
    found = _read_file(path)
    try:
        ssl.create_default_context(cadata=found)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError("it holds no certificates") from error
    return found


def _folder(value: str) -> str:
    """Return a folder's absolute path; it exists and is writable, or can be made."""
    if not value.strip():
        raise ValueError("it is empty")
    path = Path(_line(value)).absolute()
    try:
        there = next(each for each in (path, *path.parents) if each.exists())
    except OSError as error:
        raise ValueError(error.strerror) from error
    if not there.is_dir():
        raise ValueError(f"{there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"{there} is not writable")
    return str(path)


def _place(value: str) -> str:
    return str(Path(_line(value)).absolute()) if value else ""


def _absolute_path(part: str) -> str:
    if not part.startswith("/"):
        raise ValueError
    return part


def _instance(value: str) -> str:
    if value and (value == PREPARING or not LABEL.fullmatch(value)):
        raise ValueError
    return value


def _replicas(value: str) -> int:
    return -1 if value.strip() == "-1" else int(whole(1, 1000).read(value))


def _image_pattern(part: str) -> str:
    if problem := pattern_complaint(part):
        raise ValueError(problem)
    return part


def _origin(part: str) -> str:
    if not re.fullmatch(r"https?://[^/\s@]+", part):
        raise ValueError
    return part


FLAG = Form("true or false", _flag)
DEVELOPMENT = Form(f"one of {', '.join(TRUE)}; any other value is false", _development)
LEVEL = Form(one_of(LEVELS).expected, _level)
PORT = whole(1, _PORTS[-1])
HOST_PORT = Form("host:port", host_port)
HOST = Form("host or host:port, without `http://`", _host_maybe_port)
HOST_PORTS = listed(host_port, "host:port")
OPTIONS = Form("options of gunicorn, such as `--workers 2`", _words)
BIND = Form("host:port, `unix:` and a path, or `fd://` and a number", _bind)
NETWORKS = Form("addresses or ranges like 10.4.0.0/16, separated by commas", _networks)
CERTIFICATES = Form("the path of a PEM file with certificates", _certificates)
CERTIFICATE_FILE = Form(CERTIFICATES.expected, _certificate_file)
KUBECONFIG = Form("the path of a kubeconfig that can be read", _kubeconfig)
FOLDER = Form("the path of a writable folder", _folder)
PLACE = Form("the path of a folder", _place)
PATHS = listed(_absolute_path, "absolute paths")
IMAGES = listed(_image_pattern, "images as registry/name:tag, with `*` only behind the last slash")
ORIGINS = listed(_origin, "origins with scheme, such as https://orchestrator.example")
OBJECTS = names("exact names of objects in Kubernetes", _OBJECT)
OBJECT = matching(_OBJECT, "the name of an object in Kubernetes")
NAMESPACE = matching(_NAMESPACE, "the name of a namespace")
INSTANCE = Form(f"the value of a label in Kubernetes, not {PREPARING}", _instance)
REPLICAS = Form("-1 or a whole number from 1", _replicas)
LABEL_KEY = Form("the key of a label in Kubernetes", lambda value: _needed(_LABEL_KEY, value))
LABEL_VALUE = Form("the value of a label in Kubernetes", lambda value: _needed(LABEL, value))
TAG = Form("an image's tag", lambda value: _needed(_TAG, value))
REGISTRY = Form("a registry as images name it, such as registry.example:5000", lambda value: _needed(_REGISTRY, value))
REGISTRIES = names("registries as images name them", _REGISTRY)
POD_PATH = Form("an absolute path", lambda value: _absolute_path(_line(value)))
URL_PATH = Form("a path such as /api/ping", lambda value: _needed(_ANYTHING, value))
# A file with a secret often ends with a line break.
SECRET = Form("text", str, is_secret=True)
SECRETS = Form(
    "strings, separated by commas", lambda value: [part for part in value.split(",") if part], is_secret=True
)
TOKEN = Form("a token, without spaces", lambda value: _needed(_TOKEN, value.strip()), is_secret=True)


def quantity(least: int) -> Form:
    """Return the form of a quantity of bytes, which stays a string."""
    return Form(f"bytes or a Kubernetes quantity such as 20Gi, from {least} bytes", _quantity(least))


def _needed(pattern: re.Pattern[str], value: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError
    return value
