"""Another user of the machine finds nothing of the service that he can read, whatever was there before."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator_api.privacy import keep_private, make_private_folder
from tests.orchestrator_api.test_settings import GIVEN
from usage_scripts.local_service import PROJECT, local_service

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def open_to_others(folder: Path) -> dict[str, str]:
    """Return what others could read if they got that far, but for what the local engine gives its pods."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for path in [Path(parent, name) for name in (*folders, *files)]:
            mode = path.lstat().st_mode
            if mode & OTHERS and not stat.S_ISLNK(mode):
                found[str(path.relative_to(folder))] = oct(stat.S_IMODE(mode))
        if Path(parent) == folder:
            folders[:] = [name for name in folders if name != "engine"]
    return found


def manage(data_dir: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a management command as somebody does whose own umask hides nothing."""
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(data_dir), **GIVEN, **environment},
        umask=0,
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """Give a data folder of an older installation, open to all."""
    folder = tmp_path / "data"
    for name in ("media/executions", "uploads", "journal", "controllers", "backup", "engine/workflows"):
        (folder / name).mkdir(parents=True)
    for name in ("token", "secret-key", "registry-token", "service.log", "media/executions/patients.json", "backup/db"):
        (folder / name).write_text("secret")
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o666)
    return folder


def test_everything_in_a_folder_that_was_open_is_closed(open_folder: Path) -> None:
    assert keep_private(open_folder) == []
    assert open_to_others(open_folder) == {}
    assert stat.S_IMODE(open_folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((open_folder / "engine").stat().st_mode) == 0o700
    # What is in there belongs to pods, whose users are others.
    assert stat.S_IMODE((open_folder / "engine/workflows").stat().st_mode) == 0o777


def test_owners_keep_their_rights(open_folder: Path) -> None:
    keep_private(open_folder)
    assert (open_folder / "media/executions/patients.json").read_text() == "secret"
    (open_folder / "media/executions/new.json").write_text("x")


def test_a_link_closes_nothing_outside(open_folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("public")
    outside.chmod(0o644)
    (open_folder / "media/link").symlink_to(outside)
    (open_folder / "media/dangling").symlink_to(tmp_path / "nothing")
    keep_private(open_folder)
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644


def test_a_data_folder_behind_a_link_is_closed(open_folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(open_folder)
    make_private_folder(link)
    assert stat.S_IMODE(open_folder.stat().st_mode) == 0o700


def test_a_database_elsewhere_is_closed_with_all_that_is_beside_it(tmp_path: Path) -> None:
    database = tmp_path / "shared" / "db.sqlite3"
    database.parent.mkdir()
    manage(tmp_path / "data", "prepare", DATABASE_URL=f"sqlite:///{database}")
    database.chmod(0o666)
    with closing(sqlite3.connect(database)) as other, other:
        other.execute("CREATE TABLE more (x)")
        for path in database.parent.iterdir():
            path.chmod(0o666)
        manage(tmp_path / "data", "prepare", DATABASE_URL=f"sqlite:///{database}")
        assert open_to_others(database.parent) == {}


def test_commands_make_nothing_that_others_read_whatever_the_umask(open_folder: Path) -> None:
    tokens = ("--admin-token", str(open_folder / "token"), "--registry-token", str(open_folder / "registry-token"))
    manage(open_folder, "prepare", *tokens)
    manage(open_folder, "create_token", "admin")
    assert (open_folder / "orchestrator.sqlite3").exists()
    assert open_to_others(open_folder) == {}


@pytest.mark.live
def test_a_whole_service_leaves_nothing_that_others_read(open_folder: Path) -> None:
    before = os.umask(0)
    try:
        with local_service(open_folder) as service:
            engine = {"name": "e", "container_name": "c", "role_type": "classification"}
            assert service.session().post(f"{service.url}/api/ai_engines/", json=engine, timeout=30).status_code == 201
            assert (open_folder / "orchestrator.sqlite3-wal").exists()
            # The test itself writes the log, and opened it before the service was there.
            found = {name: mode for name, mode in open_to_others(open_folder).items() if name != "service.log"}
            assert found == {}
            assert stat.S_IMODE(open_folder.stat().st_mode) == 0o700
    finally:
        os.umask(before)
