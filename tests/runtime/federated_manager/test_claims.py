import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from runtime.federated_manager.channel.base import sha256_of
from runtime.federated_manager.channel.claims import ClaimCheckChannel
from runtime.federated_manager.channel.http import HttpChannel
from runtime.federated_manager.errors import ChannelError
from runtime.federated_manager.messages import Topic
from tests.runtime.federated_manager.conftest import Ground, over_both
from tests.runtime.federated_manager.processes import Training
from tests.services.channels import ChannelServer, MadeChannel


@pytest.fixture
def made(channel_server: ChannelServer) -> MadeChannel:
    return channel_server.make_channel()


@pytest.fixture
def storage(channel_server: ChannelServer, made: MadeChannel) -> str:
    return f"{channel_server.url}/api/channels/{quote(made.id)}/models"


@pytest.fixture
def plain(channel_server: ChannelServer, made: MadeChannel, tmp_path: Path) -> Iterator[HttpChannel]:
    with HttpChannel(channel_server.url, made.id, tmp_path, made.token, 1) as channel:
        yield channel


@pytest.fixture
def channel(plain: HttpChannel, storage: str, made: MadeChannel, tmp_path: Path) -> ClaimCheckChannel:
    return ClaimCheckChannel(plain, f"{storage}/", tmp_path, made.token)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.write_bytes(os.urandom(200_000))
    return made


def test_a_file_goes_to_storage_and_its_claim_to_the_topic(
    channel: ClaimCheckChannel, plain: HttpChannel, storage: str, made: MadeChannel, model: Path
) -> None:
    channel.publish(Topic.TO_CLIENTS, "k", {"iteration_index": "0"}, model)

    digest = sha256_of(model)
    message = plain.read(Topic.TO_CLIENTS, 5)
    stored = requests.get(f"{storage}/{digest}/", headers={"Authorization": f"Bearer {made.token}"}, timeout=60)
    assert message is not None
    assert message.content is not None
    assert message.content.read() == f'{{"sha256": "{digest}", "size": 200000}}'.encode()
    assert message.headers == {"iteration_index": "0", "sha256": digest, "claim_check": "true"}
    assert stored.content == model.read_bytes()


def test_a_claim_is_read_as_what_it_stands_for(channel: ClaimCheckChannel, model: Path, tmp_path: Path) -> None:
    channel.publish(Topic.TO_CLIENTS, "k", {}, model)

    message = channel.read(Topic.TO_CLIENTS, 5)

    assert message is not None
    assert message.content is not None
    assert message.content.size == 200_000
    message.content.save(tmp_path / "received")
    assert (tmp_path / "received").read_bytes() == model.read_bytes()


@pytest.mark.parametrize("value", [None, b"true"])
def test_anything_else_goes_as_it_is(channel: ClaimCheckChannel, plain: HttpChannel, value: bytes | None) -> None:
    channel.publish(Topic.STATUS, "k", {}, value)

    message = plain.read(Topic.STATUS, 5)

    assert message is not None
    assert message.headers == {}
    assert (message.content and message.content.read()) == value


@pytest.mark.parametrize("claim", [b"{}", b"none", b"[]", b'{"sha256": "http://elsewhere/", "size": 1}'])
def test_a_malformed_claim_is_refused(channel: ClaimCheckChannel, plain: HttpChannel, claim: bytes) -> None:
    plain.publish(Topic.TO_CLIENTS, "k", {"claim_check": "true"}, claim)

    with pytest.raises(ChannelError, match="malformed"):
        channel.read(Topic.TO_CLIENTS, 5)


def test_what_storage_refuses_fails(
    plain: HttpChannel, storage: str, made: MadeChannel, model: Path, tmp_path: Path
) -> None:
    channel = ClaimCheckChannel(plain, f"{storage}/elsewhere", tmp_path, made.token)

    with pytest.raises(ChannelError, match=r"a model of 200000 bytes cannot be stored: .* 404"):
        channel.publish(Topic.TO_CLIENTS, "k", {}, model)


@over_both
def test_a_training_by_claim_check(
    start: Callable[..., Training], channel_server: ChannelServer, ground: Ground, storage: str, made: MadeChannel
) -> None:
    # Over HTTP a channel's own token is the one that its storage takes.
    over_http = ground.adapter == "http"
    url = f"{channel_server.url}/api/channels/{quote(ground.channel_id)}/models/" if over_http else f"{storage}/"
    token = {} if over_http else {"ORCHESTRATOR_CALLBACK_TOKEN": made.token}
    before = len(channel_server.stored_models())
    training = start(rounds=1, FEDERATED_CLAIM_CHECK_URL=url, **token)
    roles = [training.server().start(), *training.clients("a", "b")]

    assert [role.wait() for role in roles] == [0, 0, 0], roles[0].log[-3000:]

    assert len(channel_server.stored_models()) - before == 3
    assert (roles[1].folder / "input" / "weights.txt").read_text() == "merged(a,b)\n"
