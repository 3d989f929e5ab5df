"""One command clears rows and files together, and only while nothing of the service runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.db.models import FileField

from engines.base import Submission
from engines.recording import RecordingEngine
from federated.models import Channel
from federated.services import channel_open
from orchestrator_api.clearing import STORED, service_kept_away
from orchestrator_api.standalone import main
from registry.models import GenericFile
from runs.engines import get_engine
from runs.identity import Identity
from tests.federated.conftest import make_spec
from tests.registry.samples import generic_file
from web.lives import REQUESTS, Life

WORKFLOW = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {}, "spec": {}}


@pytest.fixture
def engine(settings, tmp_path) -> RecordingEngine:
    settings.ENGINES = {"double": {"class": "engines.recording.RecordingEngine", "options": {}}}
    settings.ENGINE = "double"
    found = get_engine("double")
    assert isinstance(found, RecordingEngine)
    found.submit(Submission("a-workflow", WORKFLOW))
    return found


@pytest.fixture
def installation(settings, tmp_path, transactional_db, engine) -> Path:
    """A data folder of its own with a row, its file, a Workflow, its remains, tokens, and another's file beside."""
    settings.MEDIA_ROOT = tmp_path / "media"
    User.objects.create_user("ada")
    generic_file()
    channel_open(make_spec())
    # From here on: what this process wrote down of itself while it stored them is not to be taken for a service.
    settings.DATA_DIR = tmp_path
    default_storage.save("not-ours/notes.txt", ContentFile(b"another's"))
    closed = tmp_path / "engine" / "workflows" / "a-workflow" / "closed"
    closed.mkdir(parents=True)
    (closed / "patients.csv").write_text("1")
    closed.chmod(0)
    for name in ("uploads", "journal"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "left").touch()
    for name in ("token", "registry-token", "secret-key"):
        (tmp_path / name).touch()
    return tmp_path


def clear(*arguments: str) -> str:
    output = StringIO()
    call_command("clear_data", *arguments, stdout=output)
    return output.getvalue()


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_rows_files_and_workflows_go_together(installation, engine):
    clear("--yes")

    assert not GenericFile.objects.exists()
    assert not User.objects.exists()
    assert not Channel.objects.exists()
    assert list(engine.list()) == []
    assert files(installation) == {"media/not-ours/notes.txt", "secret-key", "standalone.lock"}
    assert not (installation / "engine").exists()


def test_a_folder_on_another_disk_is_cleared_and_stays_linked(installation, tmp_path_factory):
    other, link = tmp_path_factory.mktemp("other-disk"), installation / "media" / "registry"
    link.rename(other / "registry")
    link.symlink_to(other / "registry")

    clear("--yes")

    assert files(other) == set()
    assert link.is_symlink()


def test_a_second_call_finds_nothing_to_do(installation):
    clear("--yes")
    assert "deleted" in clear("--yes")


@pytest.mark.parametrize("answer", ["", "y\n", "no\n"])
def test_whoever_does_not_say_yes_loses_nothing(installation, monkeypatch, answer):
    before = files(installation)
    monkeypatch.setattr("sys.stdin", StringIO(answer))
    with pytest.raises(CommandError, match="Nothing was deleted"):
        clear()
    assert GenericFile.objects.exists()
    assert files(installation) - {"standalone.lock"} == before


def test_it_says_what_goes_before_it_asks(installation, monkeypatch):
    monkeypatch.setattr("sys.stdin", StringIO("yes\n"))
    said = clear()
    assert f"All files of {installation / 'media'} will be deleted." in said
    assert "All Workflows of double will be deleted." in said
    assert not GenericFile.objects.exists()


def test_nothing_goes_while_the_service_runs(installation):
    with service_kept_away(), pytest.raises(CommandError, match=f"The service is running on {installation}"):
        clear("--yes")
    assert GenericFile.objects.exists()


@pytest.mark.parametrize(("process", "who"), [(Identity, "A controller"), (lambda: Life(REQUESTS), "The API")])
def test_nothing_goes_while_a_process_of_the_service_lives(installation, process, who):
    life = process()
    try:
        with pytest.raises(CommandError, match=f"{who} is running on {installation}"):
            clear("--yes")
    finally:
        life.close()
    assert GenericFile.objects.exists()
    clear("--yes")


def test_nothing_goes_while_others_use_a_database_of_several_machines(installation):
    if connection.vendor != "postgresql":
        pytest.skip("a SQLite database has its users on this machine")
    other = connections.create_connection("default")
    other.ensure_connection()
    try:
        with pytest.raises(CommandError, match=r"Other sessions are connected to the database \(1\)"):
            clear("--yes")
    finally:
        other.close()
    assert GenericFile.objects.exists()


def test_rows_stay_while_an_engine_does_not_answer(installation, engine, monkeypatch):
    monkeypatch.setattr(engine, "unavailable", True)
    with pytest.raises(CommandError, match="The engine 'double' cannot delete its Workflows"):
        clear("--yes")
    assert GenericFile.objects.exists()
    assert (installation / "token").exists()


def test_every_file_of_a_model_lies_where_files_are_cleared():
    fields = [field for model in apps.get_models() for field in model._meta.fields if isinstance(field, FileField)]
    channel = Channel(pk="c", owner_kind="execution", owner_id=1, attempt=1)
    names = {
        field.upload_to if isinstance(field.upload_to, str) else field.upload_to(field.model(channel=channel), "x")
        for field in fields
    }
    assert {name.partition("/")[0] for name in names} <= set(STORED)


def test_the_tables_of_all_apps_go_in_one_command_and_the_next_start_makes_them(tmp_path, monkeypatch):
    data_dir = tmp_path / "data"
    database = data_dir / "orchestrator.sqlite3"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{database}")

    def tables() -> set[str]:
        with closing(sqlite3.connect(database)) as connection:
            return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    # The first call makes the installation ready before it clears it.
    assert main(["--data-dir", str(data_dir), "--manage", "clear_data", "--yes", "--tables"]) == 0
    assert tables() <= {"django_migrations", "sqlite_sequence"}
    assert not (data_dir / "token").exists()

    assert main(["--data-dir", str(data_dir), "--manage", "load_schemas", "--check"]) == 0
    assert "executions_execution" in tables()
