from pathlib import Path

import pytest

from orchestrator_api.uploads import OwnedUpload, tidy_up
from web import lives


@pytest.fixture(autouse=True)
def folders(settings, tmp_path) -> Path:
    settings.DATA_DIR = tmp_path
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    return settings.FILE_UPLOAD_TEMP_DIR


def test_an_upload_under_way_is_left_alone(folders):
    upload = OwnedUpload("c.zip", "application/zip", 0, None)

    assert tidy_up() == 0
    assert [path.name for path in folders.iterdir()] == [Path(upload.temporary_file_path()).name]
    upload.close()
    assert list(folders.iterdir()) == []


def test_what_a_dead_process_left_is_deleted(folders, tmp_path):
    (tmp_path / lives.REQUESTS).mkdir(exist_ok=True)
    (tmp_path / lives.REQUESTS / "host-dead").touch()
    (folders / "host-dead.abc.upload").touch()
    (folders / "host-other.abc.upload").touch()

    assert tidy_up() == 1
    assert [path.name for path in folders.iterdir()] == ["host-other.abc.upload"]
