"""Tokens that a thief has, against the shipped server: those of running pods, and one that is revoked in time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.live.federated import ONE, OTHER, SLOW, channel_of, post, run_of, wait_for
from tests.live.test_federated import processes, read
from tests.live.test_killed import process_ids
from usage_scripts.demo_day import Api
from usage_scripts.local_service import PROJECT, LocalService, local_service

pytestmark = pytest.mark.live
_NEW_TOKEN = (
    "from datetime import timedelta; from django.contrib.auth.models import User;"
    "from orchestrator_api.tokens import token_create;"
    "print(token_create(user=User.objects.first(), name='stolen', lifetime=timedelta(hours=1))[1])"
)
_REVOKE = (
    "from orchestrator_api.models import ApiToken; from orchestrator_api.tokens import token_revoke;"
    "token_revoke(tokens=ApiToken.objects.filter(name='stolen'))"
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    with local_service(tmp_path_factory.mktemp("revoked")) as running:
        yield running


def in_service(service: LocalService, code: str) -> str:
    """Run code with the service's own settings, as its operator may, and return what it prints."""
    pairs = Path(f"/proc/{process_ids(service, 'gunicorn')[0]}/environ").read_text().split("\0")
    done = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup(); {code}"],
        cwd=PROJECT, env=dict(pair.split("=", 1) for pair in pairs if "=" in pair),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def admin(service: LocalService) -> Api:
    return Api(service.url, service.token)


@pytest.fixture(scope="module")
def training(admin: Api) -> Any:
    """A federated training that lasts a while."""
    return post(admin, epochs=SLOW)


def tokens_in_pods(channel: str) -> dict[str, str]:
    """Return the tokens that the federated managers of a channel hold, by their data partner, '' for the server."""
    found = {}
    for partner, words in {
        "": ["server", channel],
        ONE: ["client", channel, ONE],
        OTHER: ["client", channel, OTHER],
    }.items():
        for pid in processes():
            pairs = dict(pair.partition("=")[::2] for pair in read(pid, "environ").decode(errors="replace").split("\0"))
            if "\0".join(words).encode() in read(pid, "cmdline") and pairs.get("ORCHESTRATOR_CALLBACK_TOKEN"):
                found[partner] = pairs["ORCHESTRATOR_CALLBACK_TOKEN"]
    return found


def test_the_token_in_a_pod_is_its_own_data_partners(service: LocalService, admin: Api, training: Any) -> None:
    channel = channel_of(admin, training)
    tokens = wait_for("all roles", lambda: found if len(found := tokens_in_pods(channel)) == 3 else None)

    def status(partner: str, rest: str, method: str = "GET") -> int:
        headers = {"Authorization": f"Bearer {tokens[partner]}"}
        return requests.request(method, f"{service.url}/api/{rest}", headers=headers, json={}, timeout=30).status_code

    own = f"executions/{training['id']}"
    information = f"{own}/retrieve_data_partner_information/?data_partner="
    seen = {(holder, partner): status(holder, information + partner) for holder in tokens for partner in (ONE, OTHER)}
    assert seen == {
        (holder, partner): 200 if holder == partner else 403 for holder in ("", ONE, OTHER) for partner in (ONE, OTHER)
    }
    assert status(ONE, f"{own}/update_to_succeeded/", "PATCH") == 403
    assert status(ONE, f"channels/{quote(channel, safe='')}/models_to_manager/messages/") == 403
    assert status("", f"channels/{quote(channel, safe='')}/models_to_manager/messages/") == 200
    assert status(ONE, "executions/") == 403


def test_the_followed_log_of_a_revoked_token_is_cut(service: LocalService, admin: Api, training: Any) -> None:
    name = run_of(admin, training)["name"]
    token = in_service(service, _NEW_TOKEN)
    stream = requests.get(
        f"{service.url}/api/runs/{name}/logs/?follow=true",
        headers={"Authorization": f"Bearer {token}"}, stream=True, timeout=60,
    )  # fmt: skip
    assert stream.status_code == 200

    in_service(service, _REVOKE)

    # The service cuts the answer; a time-out is another error.
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        for _ in stream.iter_content(None):
            pass
    assert admin.call("GET", f"runs/{name}/")["phase"] not in ("succeeded", "failed")
