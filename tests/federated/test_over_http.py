"""The channel API in a process of its own, over a real connection."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
import requests

from runtime.federated_manager.channel.http import HttpChannel
from runtime.federated_manager.messages import Topic
from tests.services.channels import ChannelServer, MadeChannel

MEGABYTE = 1024 * 1024
TIMEOUT_SECONDS = 120


@pytest.fixture(scope="module")
def server() -> Iterator[ChannelServer]:
    """A service of these tests alone, of which some look at its files and its memory."""
    with ChannelServer() as running:
        yield running


def url_of(server: ChannelServer, made: MadeChannel, rest: str = "models_to_manager/messages/") -> str:
    return f"{server.url}/api/channels/{quote(made.id, safe='')}/{rest}"


def headers_of(made: MadeChannel, **more: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {made.token}",
        "Content-Type": "application/octet-stream",
        "Message-Id": uuid4().hex,
        "Message-Key": "k",
        "Message-Headers": "%7B%7D",
        "Message-Null": "false",
    } | more


def begin_upload(server: ChannelServer, made: MadeChannel, length: int, sent: int) -> socket.socket:
    """Announce a body of a length, and send the beginning of it."""
    url = url_of(server, made)
    host, port = server.url.removeprefix("http://").split(":")
    head = "".join(f"{name}: {text}\r\n" for name, text in headers_of(made, **{"Content-Length": str(length)}).items())
    connection = socket.create_connection((host, int(port)), TIMEOUT_SECONDS)
    connection.sendall(f"POST {url.removeprefix(server.url)} HTTP/1.1\r\nHost: {host}\r\n{head}\r\n".encode())
    connection.sendall(b"x" * sent)
    return connection


def end_of(server: ChannelServer, made: MadeChannel) -> int:
    answer = requests.get(url_of(server, made), headers=headers_of(made), timeout=TIMEOUT_SECONDS)
    return int(answer.json()["end"])


def test_a_body_that_breaks_off_leaves_nothing(server: ChannelServer) -> None:
    made, before = server.make_channel(), server.stored_files()

    with begin_upload(server, made, 3 * MEGABYTE, 2 * MEGABYTE) as connection:
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)

    assert answer.split()[1] == b"400"
    assert end_of(server, made) == -1
    assert server.stored_files() == before


def test_a_service_killed_in_the_middle_of_an_upload_leaves_nothing(server: ChannelServer) -> None:
    made, before = server.make_channel(), server.stored_files()
    with begin_upload(server, made, 30 * MEGABYTE, 20 * MEGABYTE):
        while server.spooled_bytes() < 10 * MEGABYTE:
            time.sleep(0.01)
        server.stop()

        # Nobody has to find and remove it.
        assert server.stored_files() == before
    server.start()
    assert end_of(server, made) == -1


def test_one_byte_over_the_limit_is_refused_after_the_body_was_sent(server: ChannelServer) -> None:
    made = server.make_channel(max_model_bytes=MEGABYTE)
    url, body = url_of(server, made), b"x" * MEGABYTE

    taken = requests.post(url, body, headers=headers_of(made), timeout=TIMEOUT_SECONDS)
    refused = requests.post(url, body + b"x", headers=headers_of(made), timeout=TIMEOUT_SECONDS)

    assert (taken.status_code, refused.status_code) == (201, 413)
    assert refused.json()["detail"] == "The body has 1048577 bytes; at most 1048576 are accepted here."


def test_keys_headers_and_names_of_all_kinds_arrive(server: ChannelServer) -> None:
    made = server.make_channel()
    key, headers = "15///MESSAGE_SEP///partner ä:%2F?#", {"failure_reason": "zeile\nzwei „Ö“"}
    encoded = {"Message-Key": quote(key, safe=""), "Message-Headers": quote(json.dumps(headers))}

    # Some clients leave what may stand in an address as it is, others encode it.
    for address in (url_of(server, made), url_of(server, made).replace("_-SEP-_", "%5F%2DSEP%2D%5F")):
        requests.post(address, b"1", headers=headers_of(made, **encoded), timeout=TIMEOUT_SECONDS).raise_for_status()

    found = requests.get(url_of(server, made), headers=headers_of(made), timeout=TIMEOUT_SECONDS).json()["results"]
    assert [(each["key"], each["headers"]) for each in found] == [(key, headers)] * 2


def test_the_token_of_one_execution_is_no_key_to_another(server: ChannelServer) -> None:
    made, other = server.make_channel(), server.make_channel()

    answer = requests.post(url_of(server, made), b"1", headers=headers_of(other), timeout=TIMEOUT_SECONDS)

    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "application/problem+json")


def test_a_large_model_is_never_in_memory_as_a_whole(server: ChannelServer, tmp_path: Path) -> None:
    made, model, got = server.make_channel(300 * MEGABYTE), tmp_path / "model", tmp_path / "got"
    with model.open("wb") as file:
        for _ in range(20):
            file.write(os.urandom(10 * MEGABYTE))
    with HttpChannel(server.url, made.id, tmp_path, made.token, 30) as channel:
        channel.publish(Topic.TO_MANAGER, "warm up", {}, b"1" * MEGABYTE)
        before = server.peak_memory()

        channel.publish(Topic.TO_MANAGER, "k", {}, model)
        channel.read(Topic.TO_MANAGER, 10)
        message = channel.read(Topic.TO_MANAGER, 10)
        assert message is not None
        assert message.content is not None
        message.content.save(got)

    assert server.peak_memory() - before < 30 * MEGABYTE
    assert got.stat().st_size == 200 * MEGABYTE
