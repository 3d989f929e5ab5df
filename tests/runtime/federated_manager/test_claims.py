import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.federated_manager.channel.base import digest_of
from runtime.federated_manager.channel.claims import ClaimCheckChannel
from runtime.federated_manager.channel.http import HttpChannel
from runtime.federated_manager.errors import ChannelError
from runtime.federated_manager.messages import Topic
from tests.runtime.federated_manager.channel_service import TOKEN, ChannelService
from tests.runtime.federated_manager.conftest import Ground, over_both
from tests.runtime.federated_manager.processes import Training

ID = "15"


@pytest.fixture
def plain(service: ChannelService, tmp_path: Path) -> Iterator[HttpChannel]:
    with HttpChannel(service.url, ID, tmp_path, TOKEN, 1) as channel:
        yield channel


@pytest.fixture
def channel(service: ChannelService, plain: HttpChannel, tmp_path: Path) -> ClaimCheckChannel:
    return ClaimCheckChannel(plain, f"{service.url}/api/channels/{ID}/models/", tmp_path, TOKEN)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.write_bytes(os.urandom(200_000))
    return made


def test_a_file_goes_to_storage_and_its_claim_to_the_topic(
    channel: ClaimCheckChannel, service: ChannelService, model: Path
) -> None:
    channel.publish(Topic.TO_CLIENTS, "k", {"iteration_index": "0"}, model)

    digest = digest_of(model)
    (stored,) = service.topics[ID, "models_to_clients"]
    assert service.claims == {digest: model.read_bytes()}
    assert stored.value == f'{{"sha256": "{digest}", "size": 200000}}'.encode()
    assert stored.headers == {"iteration_index": "0", "sha256": digest, "claim_check": "true"}


def test_a_claim_is_read_as_what_it_stands_for(channel: ClaimCheckChannel, model: Path, tmp_path: Path) -> None:
    channel.publish(Topic.TO_CLIENTS, "k", {}, model)

    message = channel.read(Topic.TO_CLIENTS, 5)

    assert message is not None
    assert message.content is not None
    assert message.content.size == 200_000
    message.content.save(tmp_path / "received")
    assert (tmp_path / "received").read_bytes() == model.read_bytes()


@pytest.mark.parametrize("value", [None, b"true"])
def test_anything_else_goes_as_it_is(channel: ClaimCheckChannel, service: ChannelService, value: bytes | None) -> None:
    channel.publish(Topic.STATUS, "k", {}, value)

    message = channel.read(Topic.STATUS, 5)

    assert service.claims == {}
    assert message is not None
    assert (message.content and message.content.read()) == value


@pytest.mark.parametrize("claim", [b"{}", b"none", b"[]", b'{"sha256": "http://elsewhere/", "size": 1}'])
def test_a_malformed_claim_is_refused(channel: ClaimCheckChannel, plain: HttpChannel, claim: bytes) -> None:
    plain.publish(Topic.TO_CLIENTS, "k", {"claim_check": "true"}, claim)

    with pytest.raises(ChannelError, match="malformed"):
        channel.read(Topic.TO_CLIENTS, 5)


def test_what_storage_refuses_fails(plain: HttpChannel, service: ChannelService, model: Path, tmp_path: Path) -> None:
    channel = ClaimCheckChannel(plain, f"{service.url}/elsewhere", tmp_path, TOKEN)

    with pytest.raises(ChannelError, match=r"a model of 200000 bytes can't be stored: .* 400"):
        channel.publish(Topic.TO_CLIENTS, "k", {}, model)


@over_both
def test_a_training_by_claim_check(start: Callable[..., Training], ground: Ground, service: ChannelService) -> None:
    url = f"{service.url}/api/channels/{ID}/models/"
    training = start(rounds=1, FEDERATED_CLAIM_CHECK_URL=url, ORCHESTRATOR_CALLBACK_TOKEN=TOKEN)
    roles = [training.server().start(), *training.clients("a", "b")]

    assert [role.wait() for role in roles] == [0, 0, 0]

    assert len(service.claims) == 3
    assert (roles[1].folder / "input" / "weights.txt").read_text() == "merged(a,b)\n"
