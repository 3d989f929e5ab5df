import errno

import pytest
from django.db import OperationalError, connection

from engines.argo import ArgoEngine
from engines.local import LocalEngine
from engines.recording import RecordingEngine
from orchestrator_api import health
from runs.identity import Identity


@pytest.fixture(autouse=True)
def checks(monkeypatch):
    """The engine is not this test's matter: the checks are whatever a test puts here."""
    checks = {name: check for name, check in health.CHECKS.items() if name not in ("engine", "controller")}
    monkeypatch.setattr(health, "CHECKS", checks)
    health.readiness.forget()
    yield checks
    health.readiness.forget()


def broken() -> None:
    raise OSError("/secret/path is gone")


def test_alive_asks_nothing_of_anybody(anonymous, django_assert_num_queries, db):
    with django_assert_num_queries(0):
        assert anonymous.get("/health/live").json() == {"status": "ok"}


def test_ready_names_its_checks(anonymous, transactional_db):
    response = anonymous.get("/health/ready")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ok",
        "checks": {"database": "ok", "migrations": "ok", "storage": "ok"},
    }
    assert "no-cache" in response["Cache-Control"]


def test_what_fails_is_named_and_nothing_said_of_it(anonymous, checks, transactional_db, caplog):
    checks["storage"] = broken
    response = anonymous.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["checks"] == {"database": "ok", "migrations": "ok", "storage": "failing"}
    assert response.json()["reasons"] == {"storage": "does not work"}
    assert "secret" not in response.text
    assert "/secret/path" in caplog.text


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "x", "/secret"), "has no room"),
        (OSError(errno.EROFS, "x", "/secret"), "is read-only"),
        (health.NotReady("no controller runs"), "no controller runs"),
        (OperationalError("could not connect to 10.0.0.7"), "does not answer"),
        (RuntimeError("secret"), "does not work"),
    ],
)
def test_the_reason_is_one_of_few_words(anonymous, checks, error, reason):
    def fail() -> None:
        raise error

    checks.clear()
    checks["storage"] = fail
    assert anonymous.get("/health/ready").json()["reasons"] == {"storage": reason}


def test_checks_are_not_repeated_for_every_caller(anonymous, checks, db):
    calls = []
    checks["counted"] = lambda: calls.append(1)
    anonymous.get("/health/ready")
    anonymous.get("/health/ready")
    assert calls == [1]


class Complaining(RecordingEngine):
    def check(self):
        return ["no namespaces here"]


@pytest.fixture
def engine(monkeypatch):
    engine = Complaining("double", {})
    monkeypatch.setattr(health, "get_engine", lambda alias: engine)
    return engine


@pytest.mark.parametrize(("vendor", "is_local"), [("sqlite", True), ("sqlite", False), ("postgresql", True)])
def test_an_engine_with_complaints_is_not_ready(monkeypatch, engine, vendor, is_local):
    monkeypatch.setattr(connection, "vendor", vendor)
    engine.is_of_this_machine = is_local
    with pytest.raises(RuntimeError, match="no namespaces"):
        health.check_engine()


def test_a_cluster_is_left_to_controllers_elsewhere(monkeypatch, engine):
    monkeypatch.setattr(connection, "vendor", "postgresql")
    engine.is_of_this_machine = ArgoEngine.is_of_this_machine
    health.check_engine()


def test_the_local_engine_is_of_this_machine():
    assert LocalEngine.is_of_this_machine


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a shared database may have its controller elsewhere")
def test_without_a_controller_nothing_is_ready(settings, tmp_path, db):
    settings.DATA_DIR = tmp_path
    with pytest.raises(RuntimeError, match="controller"):
        health.check_controller()
    identity = Identity()
    health.check_controller()
    identity.close()


def test_only_reading_is_possible(anonymous):
    assert anonymous.post("/health/live").status_code == 405
