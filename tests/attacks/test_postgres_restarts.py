"""PostgreSQL that goes away and comes back under a whole service: answers say so, and nothing is lost or done twice."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.live.federated import post, run_of, wait_for
from tests.services.postgres import Postgres
from usage_scripts.demo_day import Api, register_sample_ai_engine
from usage_scripts.local_service import LocalService, local_service

pytestmark = pytest.mark.live
POSTS = 24


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


@pytest.fixture(scope="module")
def service(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    with local_service(tmp_path_factory.mktemp("on-postgres"), **postgres.environment) as running:
        yield running


@pytest.fixture
def engine() -> dict[str, str]:
    return {"name": f"engine {uuid.uuid4()}", "container_name": "c", "role_type": "classification"}


def is_unavailable(answer: requests.Response) -> bool:
    return answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0


def create(service: LocalService, document: dict[str, Any], key: str) -> requests.Response:
    headers = {"Idempotency-Key": key}
    return service.session().post(f"{service.url}/api/ai_engines/", json=document, headers=headers, timeout=60)


def ready(service: LocalService) -> requests.Response:
    return requests.get(f"{service.url}/health/ready", timeout=30)


def test_every_kind_of_call_says_to_come_again_and_gets_on_afterwards(
    service: LocalService, postgres: Postgres, engine: dict[str, str]
) -> None:
    api = service.session()
    assert api.get(f"{service.url}/api/executions/", timeout=30).status_code == 200
    form = {"username": "admin", "password": "x"}
    page = requests.Session()
    page.get(f"{service.url}/admin/login/", timeout=30)
    form["csrfmiddlewaretoken"] = page.cookies["csrftoken"]
    page.cookies["sessionid"] = "x" * 32

    postgres.stop()
    try:
        for path in ("executions/", "runs/", "runs/nothing/logs/?follow=true", "ai_models/1/download_contents/"):
            assert is_unavailable(api.get(f"{service.url}/api/{path}", timeout=30)), path
        assert is_unavailable(create(service, engine, "while-away"))
        assert is_unavailable(api.post(f"{service.url}/api/executions/", json={}, timeout=30))
        for answer in (
            page.get(f"{service.url}/admin/executions/execution/", timeout=30),
            page.post(f"{service.url}/admin/login/", form, timeout=30),
        ):
            assert is_unavailable(answer)
            assert answer.headers["Content-Type"].startswith("text/html")
        assert requests.get(f"{service.url}/health/live", timeout=5).status_code == 200
        wait_for("the notice", lambda: ready(service).status_code == 503, 30)
        assert ready(service).json()["reasons"]["database"] == "does not answer"
    finally:
        postgres.start()

    assert create(service, engine, "while-away").status_code == 201
    again = create(service, engine, "while-away")
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    wait_for("readiness", lambda: ready(service).status_code == 200, 30)


def test_posts_during_restarts_are_each_done_once(service: LocalService, postgres: Postgres) -> None:
    documents = {
        str(uuid.uuid4()): {"name": f"restart {number}", "container_name": "c", "role_type": "classification"}
        for number in range(POSTS)
    }
    done = threading.Event()

    def until_it_is_done(key: str) -> list[tuple[int, str]]:
        seen = []
        give_up_at = time.monotonic() + 90
        while time.monotonic() < give_up_at:
            answer = create(service, documents[key], key)
            seen.append((answer.status_code, answer.text))
            if answer.status_code == 201:
                return seen
            time.sleep(0.05)
        return seen

    def restart() -> None:
        for mode in ("immediate", "fast", "immediate"):
            postgres.stop(mode)
            time.sleep(0.2)
            postgres.start()
            if done.wait(0.4):
                return

    restarts = threading.Thread(target=restart)
    restarts.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            seen = list(pool.map(until_it_is_done, documents))
    finally:
        done.set()
        restarts.join()

    assert [answer for answers in seen for answer in answers if answer[0] not in (201, 409, 503)] == []
    assert {answers[-1][0] for answers in seen} == {201}
    found = service.session().get(f"{service.url}/api/ai_engines/?page_size=100", timeout=30).json()["results"]
    names = [row["name"] for row in found if row["name"].startswith("restart ")]
    assert sorted(names) == sorted(document["name"] for document in documents.values())


def test_a_workflow_ends_whose_database_restarted_while_it_ran(service: LocalService, postgres: Postgres) -> None:
    api = Api(service.url, service.token)
    register_sample_ai_engine(api)
    execution = post(api)
    wait_for("the Workflow's start", lambda: run_of(api, execution)["phase"] == "running")
    for mode in ("immediate", "fast"):
        postgres.stop(mode)
        time.sleep(1)
        postgres.start()
        wait_for("an answer", lambda: ready(service).status_code == 200, 60)

    wait_for("the Workflow's end", lambda: run_of(api, execution)["finished_at"], 400)
    assert api.call("GET", f"executions/{execution['id']}/")["state"]["status"] == "succeeded"
