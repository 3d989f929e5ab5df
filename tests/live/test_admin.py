"""An operator's look at every page of the admin, by HTTP, after a small day."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.live.test_usage_scripts import Scripts, zip_of
from usage_scripts.local_service import PROJECT, LocalService

pytestmark = pytest.mark.live
PASSWORD = secrets.token_urlsafe(16)
MODELS = (
    "executions/execution",
    "runs/workflowrun",
    "schemas/schema",
    "registry/aiengine",
    "registry/aiengineversion",
    "registry/aimodel",
    "registry/evaluationmetric",
    "registry/genericfile",
    "orchestrator_api/apitoken",
    "auth/user",
)
PATIENCE_SECONDS = 180


@pytest.fixture(scope="module")
def operator(service: LocalService) -> requests.Session:
    """The browser of an operator who logged in by the form, with a password made as the how-to says."""
    manage = [sys.executable, "-m", "orchestrator_api.standalone", "--data-dir", str(service.data_dir), "--manage"]
    made = subprocess.run(
        [*manage, "createsuperuser", "--noinput", "--username", "operator", "--email", ""],
        cwd=PROJECT, env={**os.environ, "DJANGO_SUPERUSER_PASSWORD": PASSWORD}, check=False, timeout=120,
        capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    browser = requests.Session()
    address = f"{service.url}/admin/login/"
    form = {"username": "operator", "password": PASSWORD, "next": "/admin/"}
    form["csrfmiddlewaretoken"] = hidden_token(browser.get(address, timeout=30).text)
    assert browser.post(address, form, timeout=30).url == f"{service.url}/admin/"
    return browser


@pytest.fixture(scope="module")
def execution(service: LocalService, tmp_path_factory: pytest.TempPathFactory) -> int:
    """An execution that ran to its end, and at least one row of everything else; its id."""
    run, folder = Scripts(service), tmp_path_factory.mktemp("day")
    engine = run("ai_engines/create.sh", "Engine of the admin's day")
    version = run("ai_engines_versions/create.sh", engine["id"])["id"]
    model = run("ai_models/create.sh", version, zip_of(folder / "model.zip", weights="1"))
    run("evaluation_metrics/create.sh", model["id"])
    generic_file(run, folder)
    posted = run("executions/create_training_from_scratch.sh", version, "trained in the admin's day")
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while (state := run("executions/get.sh", posted["id"])["state"])["status"] in ("pending", "running"):
        assert time.monotonic() < give_up_at, state
        time.sleep(0.5)
    assert state["status"] == "succeeded", state
    return int(posted["id"])


def generic_file(run: Scripts, folder: Path) -> None:
    run("generic_files/create.sh", zip_of(folder / "results.zip", **{"predictions.csv": "1,0.5\n"}))


def hidden_token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found
    return found[1]


@pytest.mark.parametrize("model", MODELS)
def test_a_list_and_one_of_its_rows_can_be_looked_at(
    service: LocalService, operator: requests.Session, execution: int, model: str
) -> None:
    listed = operator.get(f"{service.url}/admin/{model}/", timeout=30)
    assert listed.status_code == 200
    rows = re.findall(rf'href="(/admin/{model}/\d+/change/)[?"]', listed.text)
    assert rows

    one = operator.get(service.url + rows[0], timeout=30)

    assert one.status_code == 200
    assert one.url == service.url + rows[0]


def test_an_execution_leads_to_all_that_belongs_to_it(
    service: LocalService, operator: requests.Session, execution: int
) -> None:
    address = f"{service.url}/admin/executions/execution/{execution}/change/"
    page = operator.get(address, timeout=30).text
    links = [link for link in re.findall(r'href="([^"]+)"', page) if link.startswith(("/api/", f"{service.url}/api/"))]

    assert any("/logs/?node=" in link for link in links)
    assert any("/api/ai_models/" in link for link in links)
    for link in links:
        answer = operator.get(link if link.startswith("http") else service.url + link, timeout=60)
        assert answer.status_code == 200, link


def test_the_style_of_the_pages_is_there(service: LocalService, operator: requests.Session) -> None:
    page = operator.get(f"{service.url}/admin/", timeout=30).text

    for link in re.findall(r'href="(/static/[^"]+\.css)"', page):
        assert operator.get(service.url + link, timeout=30).status_code == 200, link
