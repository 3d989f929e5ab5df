"""README's day by curl works as it stands: on a new installation, after the demo, and after another start."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from usage_scripts.demo_day import Api, register_sample_ai_engine
from usage_scripts.local_service import PROJECT, LocalService, local_service

pytestmark = pytest.mark.live
ADDRESS, TOKEN = "http://127.0.0.1:8900", "../var/token"


def day_by_curl() -> str:
    section = (PROJECT / "README.md").read_text().partition("## The same day by curl\n")[2].partition("\n## ")[0]
    return "".join(re.findall(r"```bash\n(.*?)```", section, re.DOTALL))


def follow(service: LocalService, script: str) -> str:
    """Do what the page says, word by word; the service may listen, and have its data, elsewhere."""
    script = script.replace(ADDRESS, service.url).replace(TOKEN, str(service.data_dir / "token"))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("curl -H", "curl --fail-with-body -H")],
        cwd=PROJECT, capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "ORCHESTRATOR_URL": service.url, "DATA_DIR": str(service.data_dir)},
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr}"
    return done.stdout


def test_the_day_by_curl_works_on_a_new_installation_and_on_a_second_start(tmp_path: Path) -> None:
    with local_service(tmp_path / "var") as service:
        assert "/api/ai_models/1/" in follow(service, day_by_curl())
    with local_service(tmp_path / "var") as service:
        assert "/api/ai_models/" in follow(service, day_by_curl())


def test_the_day_by_curl_takes_the_ai_engine_that_the_demo_registered(service: LocalService) -> None:
    version = register_sample_ai_engine(Api(service.url, service.token))
    first_lines = "\n".join(day_by_curl().splitlines()[:2])
    assert follow(service, f'{first_lines}\necho "$version"') == f"{version}\n"


def test_the_page_names_what_the_service_has() -> None:
    section = day_by_curl()
    assert ADDRESS in section
    assert TOKEN in section
    scripts = set(re.findall(r"\./(\S+\.sh)", section))
    assert {name for name in scripts if not os.access(PROJECT / "usage_scripts" / name, os.X_OK)} == set()
