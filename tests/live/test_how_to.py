"""The AI engine and the Schema of the how-to pages run as they stand there, on the local engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from usage_scripts.demo_day import Api
from usage_scripts.local_service import PROJECT, LocalService, local_service

pytestmark = pytest.mark.live
FOLDER, PYTHON = "/srv/my-engine", "'\"$PWD\"'/.venv/bin/python"
AI_ENGINE_PAGE, SCHEMA_PAGE = "write-an-ai-engine.md", "write-a-schema.md"


def page(name: str) -> str:
    return (PROJECT / "docs/how-to" / name).read_text()


def block(text: str, before: str) -> str:
    """Return the code block that follows a sentence."""
    found = re.search(rf"{re.escape(before)}\n\n```\w*\n(.*?)```", text, re.DOTALL)
    assert found, before
    return found[1]


def images(text: str, folder: Path) -> str:
    """Return the setting that the page gives, for a folder and a Python of this test."""
    found = re.search(r"LOCAL_ENGINE_IMAGES='(\{.*?\}\})' make run", text, re.DOTALL)
    assert found
    setting = found[1].replace(PYTHON, sys.executable).replace(FOLDER, str(folder))
    json.loads(setting)
    return setting


@pytest.fixture(scope="module")
def own_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service that knows the page's AI engine, which lies below /tmp like everything else of a test."""
    text, folder = page(AI_ENGINE_PAGE), tmp_path_factory.mktemp("my-engine")
    program = folder / "my_engine.py"
    program.write_text(block(text, f"Save it as `{FOLDER}/my_engine.py`:"))
    # Containers are another user's.
    folder.chmod(0o755)
    program.chmod(0o644)
    with local_service(tmp_path_factory.mktemp("data"), LOCAL_ENGINE_IMAGES=images(text, folder)) as service:
        yield service


def follow(service: LocalService, script: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder, capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "ORCHESTRATOR_URL": service.url, "DATA_DIR": str(service.data_dir)},
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr}"
    return done.stdout


def test_the_ai_engine_of_the_page_trains_and_infers(own_service: LocalService, tmp_path: Path) -> None:
    script = block(page(AI_ENGINE_PAGE), "([more](../reference/local-engine.md)). Then, in another shell:")
    said = follow(own_service, script.replace("/tmp/", f"{tmp_path}/"), PROJECT)

    api = Api(own_service.url, own_service.token)
    execution = api.call("GET", re.findall(r'"url":"([^"]*/api/executions/\d+/)"', said)[-1])
    file = api.call("GET", execution["output_elements"]["generic_file"]["generic_file"])
    path = file["individual_contents_download"] + "?file_path=predictions.csv"
    answer = requests.get(path, headers={"Authorization": f"Bearer {own_service.token}"}, timeout=30)
    assert answer.text.splitlines()[0] == "wdbc-0001,malignant"


def test_the_schema_of_the_page_trains(own_service: LocalService, tmp_path: Path) -> None:
    text = page(SCHEMA_PAGE)
    (tmp_path / "my-schema.json").write_text(block(text, "Save it as `my-schema.json`:"))
    (tmp_path / "my-manifest.yaml").write_text(block(text, "and its manifest as `my-manifest.yaml`:"))
    (tmp_path / "usage_scripts").symlink_to(PROJECT / "usage_scripts")
    script = block(
        text, "Then, beside the two files, with the service running and `usage_scripts` being the checkout's:"
    )
    assert "/api/ai_models/" in follow(own_service, script, tmp_path)
