"""Containers that die in a Workflow of the real service: how soon that is told, and with which words."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runs.carrier import WOUND_UP
from runtime.sample_ai_engine import sample_data
from tests.live.federated import ONE, OTHER, SLOW, channel_of, post, rounds, run_of, wait_for
from usage_scripts.demo_day import DESCRIPTOR, FUNCTIONALITIES, Api, ai_model, platform_data
from usage_scripts.local_service import LocalService, local_service

pytestmark = pytest.mark.live

GRACE_SECONDS = 3
# Of what died at once: far from the 300 seconds that a slow AI engine may take to begin.
SOON_SECONDS = 60
ENGINES = {
    "dies-at-once": "echo loading weights; echo 'No module named torch' >&2; exit 3",
    "ends-at-once": "echo nothing to do",
    "dies-at-work": (
        "python3 -c 'import http.server as h\n"
        "class H(h.BaseHTTPRequestHandler):\n"
        "    def do_GET(self): self.send_response(200); self.end_headers()\n"
        '    def do_POST(self): print("out of memory", flush=True); import os; os._exit(9)\n'
        'h.HTTPServer(("127.0.0.1", 8001), H).serve_forever()\''
    ),
}


@pytest.fixture(scope="module")
def own_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    images = {f"*/{name}:*": {"command": ["sh", "-c", script]} for name, script in ENGINES.items()}
    environment = {"LOCAL_ENGINE_IMAGES": json.dumps(images), "EXECUTION_END_GRACE_SECONDS": str(GRACE_SECONDS)}
    with local_service(tmp_path_factory.mktemp("dying"), **environment) as running:
        yield running


@pytest.fixture
def api(own_service: LocalService) -> Api:
    return Api(own_service.url, own_service.token)


def posted(api: Api, container: str) -> Any:
    """Post a training with an AI engine that is such a container."""
    engine = api.post("ai_engines/", sample_data.AI_ENGINE | {"name": container, "container_name": container})
    user_vars = json.dumps(sample_data.USER_VARS).encode()
    files = {f"default_user_vars_{functionality}": user_vars for functionality in FUNCTIONALITIES}
    version = sample_data.AI_ENGINE_VERSION | {"ai_engine": engine["id"], "functionalities": list(FUNCTIONALITIES)}
    number = int(api.post("ai_engines_versions/", version, files)["id"])
    patients = {ONE: sample_data.load().partners[ONE]}
    document = {
        "schema": "training-from-scratch",
        "ai_elements": {"ai_engines": [{"descriptor": DESCRIPTOR, "version": number}]},
        "input_elements": platform_data(patients),
        "output_elements": ai_model(f"made by {container}"),
    }
    return api.post("executions/", document, {f"{DESCRIPTOR}_version_user_vars": user_vars})


def state_of(api: Api, execution: Any) -> Any:
    return api.call("GET", f"executions/{execution['id']}/")["state"]


def failed(api: Api, execution: Any, seconds: float = SOON_SECONDS) -> Any:
    wait_for("the failure", lambda: state_of(api, execution)["status"] == "failed", seconds)
    return state_of(api, execution)["message"]


@pytest.mark.parametrize(
    ("container", "code", "last"),
    [
        ("dies-at-once", "exit code 3", "No module named torch"),
        ("ends-at-once", "exit code 0", "nothing to do"),
        ("dies-at-work", "exit code 9", "out of memory"),
    ],
)
def test_an_ai_engine_that_dies_fails_its_execution_soon_and_is_quoted(
    api: Api, container: str, code: str, last: str
) -> None:
    message = failed(api, posted(api, container))

    assert "main-ai-engine" in message
    assert code in message
    assert last in message
    assert message.count(last) == 1
    assert "Step train(0)" in message


def processes(word: bytes) -> list[int]:
    """Return the innermost processes with these words in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if word in command and b"runtime.federated_manager" in command:
            found.append(int(entry.name))
    return found


def kill_manager(api: Api, execution: Any, role: str) -> None:
    words = ["server", channel_of(api, execution)] if role == "server" else ["client", channel_of(api, execution), role]
    victims = wait_for("the manager", lambda: processes("\0".join(words).encode()))
    for pid in victims:
        os.kill(pid, signal.SIGKILL)


def test_a_manager_that_dies_alone_takes_its_pod_with_it_and_all_end_with_the_execution(api: Api) -> None:
    execution = post(api, epochs=SLOW)
    wait_for("the first round", lambda: rounds(api, execution)["rounds"])
    channel = channel_of(api, execution)

    kill_manager(api, execution, OTHER)

    wait_for("another attempt", lambda: attempts(api, execution, OTHER) == 2)
    api.send("PATCH", f"executions/{execution['id']}/update_to_failed/", {"message": "given up"}, {})
    run = wait_for("the end", lambda: (found := run_of(api, execution))["finished_at"] and found)
    assert (run["phase"], run["message"]) == ("stopped", WOUND_UP)
    assert state_of(api, execution)["message"].startswith("given up")
    assert not processes(channel.encode())


def attempts(api: Api, execution: Any, partner: str) -> int:
    """Return how often a data partner's client was begun."""
    nodes = [node for node in run_of(api, execution)["nodes"] if node["type"] == "Pod"]
    return sum(1 for node in nodes if partner in node["display_name"])


def test_clients_whose_server_is_gone_for_good_end_with_that_reason(own_service: LocalService, api: Api) -> None:
    execution = post(api, epochs=SLOW)
    wait_for("the first round", lambda: rounds(api, execution)["rounds"])

    began = time.monotonic()
    while state_of(api, execution)["status"] != "failed" and time.monotonic() < began + 150:
        for pid in processes("\0".join(["server", channel_of(api, execution)]).encode()):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)

    assert "server of the federated training has ended" in failed(api, execution)
    run = wait_for("the end", lambda: (found := run_of(api, execution))["finished_at"] and found)
    url = f"{api.url}/api/runs/{run['name']}/logs/?grep=the role failed"
    said = own_service.session().get(url, timeout=30).text
    assert "the training has failed: The server of the federated training has ended" in said
