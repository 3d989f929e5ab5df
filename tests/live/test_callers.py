"""Callers against a live service: the state table, wrong references, tokens taken back, readers that hang up."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from executions.transitions import TRANSITIONS, Move, State
from tests.live.test_bad_input import document, post
from tests.live.test_killed import process_ids, wait_for
from usage_scripts.demo_day import Api, register_sample_ai_engine
from usage_scripts.local_service import PROJECT, LocalService, local_service

pytestmark = pytest.mark.live

SLEEPY = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: sleepy-}
spec:
  entrypoint: main
  templates:
  - name: main
    container: {image: "busybox:latest", command: [sh, -c], args: ["echo awake; sleep 600"]}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service of its own: its threads are counted."""
    with local_service(tmp_path_factory.mktemp("callers")) as running:
        yield running


@pytest.fixture(scope="module")
def version(service: LocalService) -> int:
    return register_sample_ai_engine(Api(service.url, service.token))


def archive() -> bytes:
    """Return a model's archive of one file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        opened.writestr("weights", b"1")
    return stream.getvalue()


@pytest.fixture(scope="module")
def model(service: LocalService, version: int) -> int:
    """A model in the registry, as the Workflow of an execution would have stored it."""
    entry = {"ai_engine_version": version, "name": "m", "description": "", "data_partners_patients": {}}
    answer = service.session().post(
        f"{service.url}/api/ai_models/",
        data={"data": json.dumps(entry)}, timeout=30,
        files={"contents": ("c.zip", archive()), "ai_engine_version_user_vars": ("v.json", b"{}")},
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def call_back(service: LocalService, execution: int, state: State, model: int) -> requests.Response:
    documents: dict[State, dict[str, Any]] = {
        State.RUNNING: {},
        State.FAILED: {"message": "it broke"},
        State.SUCCEEDED: {"ai_model": {"ai_model": model}},
    }
    url = f"{service.url}/api/executions/{execution}/update_to_{state}/"
    return service.session().patch(url, json=documents[state], timeout=30)


@pytest.mark.parametrize(("start", "asked"), sorted(TRANSITIONS))
def test_the_state_table_holds_over_http(
    service: LocalService, version: int, model: int, start: State, asked: State
) -> None:
    execution = post(service, document(version)).json()["id"]
    if start is not State.PENDING:
        assert call_back(service, execution, start, model).status_code == 200

    answer = call_back(service, execution, asked, model)

    refused = TRANSITIONS[start, asked] is Move.REFUSE
    assert answer.status_code == (400 if refused else 200), answer.text
    after = service.session().get(f"{service.url}/api/executions/{execution}/", timeout=30).json()
    assert after["state"]["status"] == (start if refused else asked)


@pytest.mark.parametrize(
    ("outputs", "pointer"),
    [
        ({"ai_model": {"ai_model": 10**9}}, "/data/ai_model/ai_model"),
        ({"ai_model": {"ai_model": "one"}}, "/data/ai_model/ai_model"),
        ({"ai_model": {"ai_model": 10**30}}, "/data/ai_model/ai_model"),
        ({}, "/data/ai_model"),
        ({"ai_model": {"ai_model": 1}, "generic_file": {"generic_file": 1}}, "/data/generic_file"),
    ],
)
def test_a_success_that_names_no_result_is_refused_and_changes_nothing(
    service: LocalService, version: int, outputs: dict[str, Any], pointer: str
) -> None:
    execution = post(service, document(version)).json()["id"]
    url = f"{service.url}/api/executions/{execution}/"

    answer = service.session().patch(f"{url}update_to_succeeded/", json=outputs, timeout=30)

    assert answer.status_code == 400, answer.text
    assert pointer in [fault["pointer"] for fault in answer.json()["errors"]]
    assert service.session().get(url, timeout=30).json()["state"]["status"] == "pending"


def manage(service: LocalService, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of manage.py beside the service, as an operator would."""
    return subprocess.run(
        [sys.executable, "-m", "orchestrator_api.standalone", "--data-dir", service.data_dir, "--manage", *arguments],
        cwd=PROJECT, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip


def test_a_revoked_token_opens_nothing_from_then_on(service: LocalService) -> None:
    made = manage(service, "create_token", "admin", "--name", "to be revoked")
    token, number = made.stdout.strip().splitlines()[-1], made.stderr.split("Token ")[1].split(" ")[0]
    url, headers = f"{service.url}/api/schemas/", {"Authorization": f"Bearer {token}"}
    assert requests.get(url, headers=headers, timeout=30).status_code == 200

    manage(service, "revoke_token", number)

    refused = requests.get(url, headers=headers, timeout=30)
    assert refused.status_code == 401
    assert refused.headers["Content-Type"] == "application/problem+json"


def threads(service: LocalService) -> int:
    """Return how many threads the API has."""
    return len(list(Path(f"/proc/{process_ids(service, 'gunicorn')[-1]}/task").iterdir()))


def sleeping_run(service: LocalService, version: int) -> str:
    """Start a Workflow that speaks once and then sleeps, and return its run's name."""
    session = service.session()
    session.delete(f"{service.url}/api/schemas/sleepy/", timeout=30)
    schema = {
        "name": "sleepy",
        "type": "individual",
        "implementation": "argo_workflows",
        "description": "",
        "input_elements": {"platform_data": True, "external_data": False, "federated_learning_configuration": False},
        "ai_elements": {
            "ai_engines": [
                {
                    "descriptor": "main-ai-engine",
                    "role_type": "*",
                    "functionalities": ["training_from_scratch"],
                    "ai_model": False,
                }
            ]
        },
        "output_elements": {"ai_model": True, "evaluation_metrics": False, "generic_file": False},
    }
    made = session.post(
        f"{service.url}/api/schemas/",
        data={"data": json.dumps(schema)}, files={"auxiliary_file": ("m.yaml", SLEEPY)}, timeout=60,
    )  # fmt: skip
    assert made.status_code == 201, made.text
    posted = post(service, document(version) | {"schema": "sleepy"}, query="")
    assert posted.status_code == 201, posted.text
    execution = posted.json()["id"]
    runs = f"{service.url}/api/runs/?owner_id={execution}"
    return str(session.get(runs, timeout=30).json()["results"][0]["name"])


def test_followers_of_a_log_that_hang_up_keep_no_thread(service: LocalService, version: int) -> None:
    run = sleeping_run(service, version)
    url = f"{service.url}/api/runs/{run}/logs/?follow=true&prefix=false"
    before = threads(service)
    followers = [service.session().get(url, stream=True, timeout=30) for _ in range(12)]
    assert [next(follower.iter_lines()) for follower in followers] == [b"awake"] * 12
    assert threads(service) > before

    for follower in followers:
        follower.close()

    # gunicorn keeps the threads that serve requests; what each follower had of its own has to go.
    wait_for("the followers' end", lambda: threads(service) <= before + 12, 30)
    assert service.session().get(f"{service.url}/api/runs/{run}/", timeout=30).json()["phase"] == "running"
