"""`manage.py check_manifests`."""

import pytest
from django.core.management import CommandError, call_command

from tests.schemas.samples import MANIFEST


def test_it_says_of_each_file_whether_it_would_be_taken(tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "good.yaml").write_text(MANIFEST)
    (tmp_path / "bad.yml").write_text(MANIFEST.replace("container:", "resource: {action: get}\n    container:", 1))
    (tmp_path / "notes.txt").write_text("no manifest")

    with pytest.raises(CommandError, match=r"1 of 2 manifests are refused"):
        call_command("check_manifests", str(tmp_path))

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{tmp_path}/bad.yml: refused"
    assert lines[1].startswith("  /spec/templates/0/resource: line ")
    assert lines[-1] == f"{tmp_path}/folder/good.yaml: accepted"


def test_it_says_what_the_engine_would_not_run(tmp_path, capsys):
    path = tmp_path / "m.yaml"
    path.write_text(MANIFEST.replace("entrypoint: main", "entrypoint: nobody"))

    with pytest.raises(CommandError):
        call_command("check_manifests", str(path))

    assert "nobody" in capsys.readouterr().out


def test_it_tells_when_nothing_is_there(tmp_path):
    with pytest.raises(CommandError, match="No manifests were found"):
        call_command("check_manifests", str(tmp_path))
    with pytest.raises(CommandError, match="neither a file nor a folder"):
        call_command("check_manifests", str(tmp_path / "nowhere"))
