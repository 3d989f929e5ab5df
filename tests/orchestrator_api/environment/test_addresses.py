"""Addresses of databases, as operators and tools write them."""

from __future__ import annotations

import pytest

from orchestrator_api.environment.addresses import POSTGRES, SQLITE, database_from_url


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:////srv/o.sqlite3", "/srv/o.sqlite3"),
        ("sqlite:///o.sqlite3", "o.sqlite3"),
        ("sqlite:////srv/a%20b/o.sqlite3?timeout=20", "/srv/a b/o.sqlite3"),
        ("sqlite:////srv/a+b #1 ü 100%/o.sqlite3", "/srv/a+b #1 ü 100%/o.sqlite3"),
        ("sqlite://:memory:", ":memory:"),
        ("sqlite:///:memory:", ":memory:"),
    ],
)
def test_files_of_sqlite(url: str, name: str) -> None:
    assert database_from_url(url) == {"ENGINE": SQLITE, "NAME": name}


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("postgres:///name", ("name", "", "", "", "")),
        ("postgres://:@:/name", ("name", "", "", "", "")),
        ("postgresql://u:p@db:5433/name\n", ("name", "u", "p", "db", 5433)),
        ("psql://u:%40%2F%23%25@[::1]:5433/name", ("name", "u", "@/#%", "::1", 5433)),
        ("postgres://u:p@a:1,b:2/name", ("name", "u", "p", "a,b", "1,2")),
        ("postgres://u@//var/run/name", ("name", "u", "", "/var/run", "")),
    ],
)
def test_databases_of_postgresql(url: str, parts: tuple[object, ...]) -> None:
    found = database_from_url(url)

    assert found["ENGINE"] == POSTGRES
    assert tuple(found[part] for part in ("NAME", "USER", "PASSWORD", "HOST", "PORT")) == parts


def test_options_of_postgresql() -> None:
    assert database_from_url("postgres://u:p@db/name?sslmode=require")["OPTIONS"] == {"sslmode": "require"}
