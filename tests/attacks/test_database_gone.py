"""SQLite that is locked, gone, damaged, read-only or replaced: answers say to come again, and nothing is lost."""

from __future__ import annotations

import re
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, connections
from django.http import HttpResponse
from django.test import Client
from django.urls import get_resolver

from orchestrator_api import health, idempotency
from orchestrator_api.models import IdempotencyRecord
from orchestrator_api.sqlite import base
from orchestrator_api.tokens import token_create
from tests.registry.samples import engine_data

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(settings.DATABASES["default"]["ENGINE"] != "orchestrator_api.sqlite", reason="only SQLite"),
]
# What asks no database, or answers before it does.
_OPEN = ("/api/docs/", "/api/schema/", "/admin/jsi18n/", "/admin/login/", "/admin/logout/", "/admin/r/")


@pytest.fixture
def operator() -> User:
    return User.objects.create_superuser("operator", password="a good password of some length")


@pytest.fixture
def token(operator: User) -> str:
    return token_create(user=operator, name="test", lifetime=timedelta(days=1))[1]


@pytest.fixture
def api(token: str) -> Client:
    return Client(raise_request_exception=False, headers={"authorization": f"Bearer {token}"})


@pytest.fixture
def page(operator: User) -> Client:
    """Give the browser of an operator who is logged in."""
    client = Client(raise_request_exception=False)
    client.force_login(operator)
    return client


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wait for locks a moment, not for many seconds; and let no answer of `ready` be an older one."""
    options = {**connection.settings_dict["OPTIONS"], "timeout": 0.05}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    monkeypatch.setattr(health, "_LOCK_SECONDS", 0.05)
    monkeypatch.setattr(health, "CHECKS", {"database": health.check_database})
    monkeypatch.setattr(idempotency, "_TRY_AGAIN_SECONDS", 0.05)
    connection.close()
    health.readiness.forget()
    yield
    connection.close()
    health.readiness.forget()
    # Leases are given back by a thread, which may not find the database of a later test, or none.
    for thread in threading.enumerate():
        if thread.name == "leases":
            thread.join(timeout=30)
            assert not thread.is_alive(), "leases were not given back although the database is there again"


@contextmanager
def database_at(path: str) -> Iterator[None]:
    """Let this thread's connection lead to another file."""
    before = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = path
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
        base._opened.discard(path)


def copy_of_database(folder: Path) -> Path:
    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as source, source:
        source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    target = folder / "copy.sqlite3"
    shutil.copy(connection.settings_dict["NAME"], target)
    return target


@contextmanager
def missing(folder: Path) -> Iterator[None]:
    with database_at(str(folder / "nowhere" / "db.sqlite3")):
        yield


@contextmanager
def no_database(folder: Path) -> Iterator[None]:
    path = folder / "text.sqlite3"
    path.write_bytes(b"this is no database " * 1000)
    with database_at(str(path)):
        yield


@contextmanager
def damaged(folder: Path) -> Iterator[None]:
    path = copy_of_database(folder)
    content = path.read_bytes()
    # The header and the schema's root stay; every other page is noise.
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    with database_at(str(path)):
        yield


@contextmanager
def empty(folder: Path) -> Iterator[None]:
    path = folder / "empty.sqlite3"
    path.touch()
    with database_at(str(path)):
        yield


@contextmanager
def held_alone(folder: Path) -> Iterator[None]:
    """Let another process have the file to itself, as a backup by a careless tool does."""
    path = copy_of_database(folder)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("PRAGMA user_version = 1")
        with database_at(str(path)):
            yield


Broken = Callable[[Path], Any]
ALL_BROKEN = pytest.mark.parametrize(
    "broken", [missing, no_database, damaged, empty, held_alone], ids=lambda each: each.__name__
)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    path = copy_of_database(folder)
    with database_at(f"file:{path}?mode=ro"):
        yield


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let somebody hold the write lock: reading goes on."""
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def is_unavailable(response: HttpResponse) -> bool:
    return response.status_code == 503 and int(response["Retry-After"]) > 0


def addresses(prefix: str) -> list[str]:
    """Return an address of each view below a prefix."""

    def walk(patterns: Any, before: str = "") -> Iterator[str]:
        for pattern in patterns:
            text = before + str(pattern.pattern)
            if hasattr(pattern, "url_patterns"):
                yield from walk(pattern.url_patterns, text)
            else:
                yield re.sub(r"<[^>]*>|\(\?P<[^>]*>[^)]*\)", "1", text).replace("^", "").replace("\\", "").rstrip("$Z")

    found = sorted({"/" + each for each in walk(get_resolver().url_patterns) if each.startswith(prefix)})
    return [each for each in found if not each.startswith(_OPEN) and "?" not in each and "(" not in each]


@ALL_BROKEN
@pytest.mark.parametrize("method", ["get", "post"])
def test_every_view_of_the_api_says_to_come_again(api: Client, tmp_path: Path, broken: Broken, method: str) -> None:
    found = addresses("api/")
    assert len(found) > 30
    with broken(tmp_path):
        answers = {address: getattr(api, method)(address) for address in found}
    other = {address: answer.status_code for address, answer in answers.items() if not is_unavailable(answer)}
    assert not {address: status for address, status in other.items() if status not in (404, 405)}, other
    assert len(other) < len(found) / 2
    assert all(
        answer["Content-Type"] == "application/problem+json" for answer in answers.values() if is_unavailable(answer)
    )


@ALL_BROKEN
def test_every_page_of_the_admin_says_to_come_again(page: Client, tmp_path: Path, broken: Broken) -> None:
    found = addresses("admin/")
    assert len(found) > 30
    with broken(tmp_path):
        answers = {address: page.get(address) for address in found}
    other = {address: answer.status_code for address, answer in answers.items() if not is_unavailable(answer)}
    assert not {address: status for address, status in other.items() if status not in (404, 405)}, other
    assert len(other) < len(found) / 2
    assert all(answer["Content-Type"].startswith("text/html") for answer in answers.values() if is_unavailable(answer))


@ALL_BROKEN
def test_a_login_says_to_come_again(operator: User, tmp_path: Path, broken: Broken) -> None:
    client = Client(raise_request_exception=False)
    with broken(tmp_path):
        assert is_unavailable(client.post("/admin/login/", {"username": "operator", "password": "x"}))


@ALL_BROKEN
def test_a_post_with_an_idempotency_key_says_to_come_again(api: Client, tmp_path: Path, broken: Broken) -> None:
    with broken(tmp_path):
        answer = api.post("/api/executions/", {"data": "{}"}, headers={"idempotency-key": "k"})
    assert is_unavailable(answer)
    assert answer["Content-Type"] == "application/problem+json"
    assert IdempotencyRecord.objects.count() == 0


@pytest.mark.parametrize("broken", [locked, read_only], ids=lambda each: each.__name__)
def test_who_only_reads_gets_on_and_who_writes_is_told_to_come_again(
    api: Client, page: Client, tmp_path: Path, broken: Broken
) -> None:
    assert api.get("/api/executions/").status_code == 200
    with broken(tmp_path):
        assert api.get("/api/executions/").status_code == 200
        assert page.get("/admin/executions/execution/").status_code == 200
        for headers in ({}, {"idempotency-key": "k"}):
            assert is_unavailable(api.post("/api/ai_engines/", ENGINE, "application/json", headers=headers))
        assert is_unavailable(page.post("/admin/auth/group/add/", {"name": "nurses"}))
        stranger = Client(raise_request_exception=False)
        assert is_unavailable(stranger.post("/admin/login/", {"username": "operator", "password": "x"}))
        # Its session is to be stored anew.
        assert is_unavailable(page.post("/admin/password_change/", PASSWORDS))
    assert IdempotencyRecord.objects.count() == 0
    assert api.post("/api/ai_engines/", ENGINE, "application/json", headers={"idempotency-key": "k"}).status_code == 201


def test_a_session_that_cannot_be_stored_is_not_called_deleted(page: Client, tmp_path: Path, settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.orchestrator_api.urls"
    assert page.get("/touching/").status_code == 200
    with locked(tmp_path):
        assert is_unavailable(page.get("/touching/"))
    page.session.delete()


ENGINE = engine_data()
PASSWORDS = {
    "old_password": "a good password of some length",
    "new_password1": "another good password",
    "new_password2": "another good password",
}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (locked, "is locked"),
        (held_alone, "is locked"),
        (missing, "is missing"),
        (no_database, "is damaged"),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_readiness_notices_and_says_why(tmp_path: Path, broken: Broken, reason: str) -> None:
    client = Client()
    with broken(tmp_path):
        answer = client.get("/health/ready")
        assert (answer.status_code, answer.json()["reasons"]) == (503, {"database": reason})
        assert client.get("/health/live").status_code == 200
    health.readiness.forget()
    assert client.get("/health/ready").json() == {"status": "ok", "checks": {"database": "ok"}}


def test_readiness_leaves_no_lock_and_changes_nothing(api: Client) -> None:
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        for _ in range(3):
            health.check_database()
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
        assert other.execute("PRAGMA quick_check").fetchone() == ("ok",)


def test_a_lock_that_ends_in_time_is_only_a_wait(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.settings_dict["OPTIONS"]["timeout"] = 10
    connection.close()
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, other.rollback)
    timer.start()
    assert api.post("/api/ai_engines/", ENGINE, "application/json").status_code == 201
    timer.join()
    other.close()


class TestFileThatIsRemoved:
    """SQLite writes on into a file that has no name any more; whatever it takes in is lost when the process ends."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Iterator[Path]:
        found = copy_of_database(tmp_path)
        with database_at(str(found)):
            yield found

    def post(self, api: Client, name: str) -> HttpResponse:
        return api.post("/api/ai_engines/", {**ENGINE, "name": name}, "application/json")

    def names(self, path: Path) -> list[str]:
        with closing(sqlite3.connect(path)) as found:
            return [name for (name,) in found.execute("SELECT name FROM registry_aiengine ORDER BY name")]

    def test_nothing_is_taken_in_and_no_empty_one_made(self, api: Client, path: Path) -> None:
        assert self.post(api, "one").status_code == 201
        aside = path.rename(path.with_suffix(".aside"))
        for _ in range(2):
            assert is_unavailable(self.post(api, "two"))
            assert is_unavailable(api.get("/api/ai_engines/"))
        assert not path.exists()
        health.readiness.forget()
        assert Client().get("/health/ready").json()["reasons"] == {"database": "is missing"}

        aside.rename(path)

        assert self.post(api, "three").status_code == 201
        connections.close_all()
        assert self.names(path) == ["one", "three"]

    def test_a_file_that_was_put_in_its_place_is_taken(self, api: Client, path: Path) -> None:
        restored = path.with_suffix(".restored")
        connection.close()
        shutil.copy(path, restored)
        assert self.post(api, "lost with the old file").status_code == 201
        restored.replace(path)
        for leftover in ("-wal", "-shm"):
            path.with_name(path.name + leftover).unlink(missing_ok=True)
        assert self.post(api, "kept").status_code == 201
        connections.close_all()
        assert self.names(path) == ["kept"]
