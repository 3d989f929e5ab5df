import subprocess
import sys
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from registry.models import GenericFile
from web import journal, lives

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_data(settings, tmp_path):
    settings.DATA_DIR = tmp_path


def note_of_the_dead(data_dir: Path, *lines: str) -> None:
    """Leave what a process leaves that was killed in the middle of its work."""
    name = "victim"
    (data_dir / "requests").mkdir(exist_ok=True)
    (data_dir / "journal").mkdir(exist_ok=True)
    code = (
        "import fcntl, os, sys; fd = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR);"
        "fcntl.flock(fd, fcntl.LOCK_EX); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(data_dir / "requests" / name)], check=False, timeout=30)
    (data_dir / "journal" / f"{name}.1").write_text("".join(lines))


def test_a_file_that_no_row_names_goes_and_one_that_is_named_stays(tmp_path):
    for name in ("orphan", "kept", "begun"):
        default_storage.save(name, ContentFile(b"x"))
    GenericFile.objects.create(name="g", contents="kept")
    note_of_the_dead(tmp_path, "orphan\n", "kept\n", "begun")

    assert journal.settle() == 1

    assert [default_storage.exists(name) for name in ("orphan", "kept", "begun")] == [False, True, True]
    assert list((tmp_path / "journal").iterdir()) == []
    assert not lives.dead(lives.REQUESTS)


def test_what_the_living_are_writing_is_left_alone():
    default_storage.save("mine", ContentFile(b"x"))
    note = journal.Note()
    note.add("mine")

    assert journal.settle() == 0
    assert default_storage.exists("mine")
    note.remove()
