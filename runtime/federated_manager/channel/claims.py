"""Claim check: a model goes to storage by HTTP, and the topic carries its length and SHA-256 in its place."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from runtime.calls import Calls, CallSettings
from runtime.errors import CallError
from runtime.federated_manager.channel.base import Channel, Message, sha256_of
from runtime.federated_manager.channel.http import RemoteContent
from runtime.federated_manager.errors import ChannelError
from runtime.federated_manager.messages import CLAIM, SHA256, Topic

_DIGEST = re.compile(r"[0-9a-f]{64}")


class ClaimCheckChannel(Channel):
    """A channel whose large messages lie at `storage`, an HTTP address, under their SHA-256.

    The address is the reader's own, never one from a message.
    """

    def __init__(self, channel: Channel, storage: str, spool: Path, token: str) -> None:
        self._channel, self._storage = channel, storage.rstrip("/")
        self._spool, self._token = spool, token

    @property
    def patience(self) -> float:
        """Return the inner channel's position."""
        return self._channel.patience

    @patience.setter
    def patience(self, seconds: float) -> None:
        self._channel.patience = seconds

    def publish(self, topic: Topic, key: str, headers: Mapping[str, str], value: bytes | Path | None) -> None:
        """Store a file and publish its claim; publish anything else as it is."""
        if not isinstance(value, Path):
            self._channel.publish(topic, key, headers, value)
            return
        digest = sha256_of(value)
        self._store(value, digest)
        claim = json.dumps({"sha256": digest, "size": value.stat().st_size})
        self._channel.publish(topic, key, {**headers, SHA256: digest, CLAIM: "true"}, claim.encode())

    def read(self, topic: Topic, wait: float) -> Message | None:
        """Return the next message; a claim has the content from storage."""
        message = self._channel.read(topic, wait)
        if message is None or message.content is None or message.headers.get(CLAIM) != "true":
            return message
        try:
            claim = json.loads(message.content.read())
            digest, size = str(claim["sha256"]), int(claim["size"])
        except (ValueError, TypeError, KeyError) as error:
            raise ChannelError("a claim in place of a model is malformed") from error
        if not _DIGEST.fullmatch(digest) or size < 0:
            raise ChannelError("a claim in place of a model is malformed")
        content = RemoteContent(size, self._url(digest), self._spool, self._token, self._settings())
        return replace(message, headers={**message.headers, SHA256: digest}, content=content)

    def skip_to_last(self, topic: Topic) -> bool:
        """Go to the last message."""
        return self._channel.skip_to_last(topic)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _store(self, value: Path, digest: str) -> None:
        encoded = base64.b64encode(bytes.fromhex(digest)).decode()
        headers = {"Content-Type": "application/octet-stream", "Content-Digest": f"sha-256=:{encoded}:"}
        with Calls(self._settings(), self._token) as calls:
            try:
                calls.send_content("PUT", self._url(digest), value, headers)
            except CallError as error:
                raise ChannelError(f"a model of {value.stat().st_size} bytes cannot be stored: {error}") from error

    def _url(self, digest: str) -> str:
        return f"{self._storage}/{digest}/"

    def _settings(self) -> CallSettings:
        return CallSettings.lasting(self.patience)
