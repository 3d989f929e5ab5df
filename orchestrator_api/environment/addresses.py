"""Addresses that contain a password: of the database and of the object store. No message quotes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import environ

from orchestrator_api.environment.forms import Form
from orchestrator_api.storages import storages_from_url

POSTGRES, SQLITE = "django.db.backends.postgresql", "django.db.backends.sqlite3"
ENGINES = {"postgresql": POSTGRES, "sqlite3": SQLITE}
_SCHEMES = {"postgres", "postgresql", "psql", "pgsql", "sqlite"}
_PORTS = re.compile(r"([0-9]{1,5}(,[0-9]{1,5})*)?")
# Options of django-storages that are strings, and those that the rest of the address gives:
# https://django-storages.readthedocs.io/en/latest/backends/amazon-S3.html
_SAID_BY_QUERY = (
    *("endpoint_url", "region_name", "addressing_style", "signature_version"),
    *("security_token", "session_profile", "verify"),
)
_STORAGE_OPTIONS = {
    *("bucket_name", "location", "default_acl", "file_overwrite", "querystring_auth", "access_key", "secret_key"),
    *_SAID_BY_QUERY,
}
# What Django calls the part of an address that a variable names.
PARTS = {
    "DATABASE_NAME": "NAME",
    "DATABASE_USERNAME": "USER",
    "DATABASE_PASSWORD": "PASSWORD",
    "DATABASE_HOST": "HOST",
    "DATABASE_PORT": "PORT",
}


def database_from_url(value: str) -> dict[str, Any]:
    """Return Django's settings of a database. Raises ValueError."""
    value = value.strip()
    scheme, separator, rest = value.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ValueError
    if scheme == "sqlite":
        if not rest.startswith("/") and rest != ":memory:":
            raise ValueError
        path = unquote(rest.partition("?")[0])
        return {"ENGINE": SQLITE, "NAME": path.removeprefix("/") or ":memory:"}
    try:
        found: dict[str, Any] = environ.Env.db_url_config(value)
    except (ValueError, IndexError, TypeError):
        # Its message may hold the password.
        raise ValueError("it is not a valid URL; characters such as / are written %2F in a password") from None
    if not found.get("NAME") or urlsplit(value).fragment or not _PORTS.fullmatch(str(found.get("PORT", ""))):
        raise ValueError("it names no database, or its password holds / ? # or @: write them as %2F %3F %23 %40")
    return found


def database_from_parts(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return Django's settings of a database that is given by one variable for each part."""
    engine = ENGINES[values["DATABASE_ENGINE"]]
    if engine == SQLITE:
        return {"ENGINE": engine, "NAME": values["DATABASE_NAME"]}
    return {"ENGINE": engine, **{part: values.get(name, "") for name, part in PARTS.items()}}


def parts_that_differ(url: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Return the names of the variables that contradict the database's address."""
    said = {"DATABASE_ENGINE": url["ENGINE"], **{name: url.get(part, "") for name, part in PARTS.items()}}
    meant = {**values, "DATABASE_ENGINE": ENGINES.get(values.get("DATABASE_ENGINE", ""), said["DATABASE_ENGINE"])}
    return [name for name, value in meant.items() if name in said and str(value) != str(said[name])]


def _storage(value: str) -> str:
    try:
        made = storages_from_url(value.strip())
    except ValueError:
        raise ValueError from None
    if unknown := sorted(set(made["default"].get("OPTIONS", ())) - _STORAGE_OPTIONS):
        raise ValueError(f"its options are {', '.join(_SAID_BY_QUERY)}, not {', '.join(unknown)}")
    return value.strip()


DATABASE_URL = Form(
    "`postgres://user:password@host:5432/name` or `sqlite:////path/of/a/file`", database_from_url, is_secret=True
)
STORAGE_URL = Form("`s3://key:secret@bucket/prefix?endpoint_url=https://…&region_name=…`", _storage, is_secret=True)
