"""The channel over the service's own API (docs/reference/channel-api.md); nothing is held in memory as a whole."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from runtime.calls import TRANSIENT_STATUSES, Calls, CallSettings
from runtime.errors import CallError
from runtime.federated_manager.channel.base import Channel, Content, Message, check_readable, sha256_of
from runtime.federated_manager.errors import ChannelError
from runtime.federated_manager.messages import Topic

log = logging.getLogger(__name__)

# The service may answer a long poll earlier; a longer wait is not allowed.
LONGEST_WAIT = 20.0
RESUME_RETRIES = 20
POLL_SETTINGS = CallSettings(connect_timeout=10, read_timeout=LONGEST_WAIT + 40, attempts=1)
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
# A service with too many waiting polls answers at once; the client must not repeat at once.
EARLY_DELAY = 0.5


class HttpChannel(Channel):
    """The channel `channel_id` of the service at `base` (http://host:port); `token` is the callback token.

    `spool` is a folder for large received messages; `patience` is in seconds.
    """

    def __init__(self, base: str, channel_id: str, spool: Path, token: str, patience: float) -> None:
        self._base = f"{base.rstrip('/')}/api/channels/{quote(channel_id, safe='')}"
        self._spool, self._token = spool, token
        self.patience = patience
        self._polls = Calls(POLL_SETTINGS, token)
        self._positions: dict[Topic, int] = dict.fromkeys(Topic, -1)
        self._waiting: dict[Topic, deque[Message]] = {topic: deque() for topic in Topic}
        self._delay = 0.0
        self._failing_since: float | None = None

    def publish(self, topic: Topic, key: str, headers: Mapping[str, str], value: bytes | Path | None) -> None:
        """Post a message with a unique id, so that it is stored once however often it is sent."""
        head = {
            "Content-Type": "application/octet-stream",
            "Message-Id": uuid4().hex,
            "Message-Key": quote(key, safe=""),
            "Message-Headers": quote(json.dumps(dict(headers), separators=(",", ":"))),
            "Message-Null": "true" if value is None else "false",
        }
        if isinstance(value, Path):
            digest = base64.b64encode(bytes.fromhex(sha256_of(value))).decode()
            head["Content-Digest"] = f"sha-256=:{digest}:"
        with Calls(self._settings(), self._token) as calls:
            try:
                calls.send_content("POST", self._messages(topic), value or b"", head)
            except CallError as error:
                raise ChannelError(f"publishing to {topic.value} failed: {error}") from error

    def read(self, topic: Topic, wait: float) -> Message | None:
        """Return the next message; an unreachable service counts as no message until `patience` is over."""
        waiting = self._waiting[topic]
        if not waiting:
            waiting.extend(self._poll(topic, wait))
        return waiting.popleft() if waiting else None

    def skip_to_last(self, topic: Topic) -> bool:
        """Find the end of the topic, and go to the last message."""
        with Calls(self._settings(), self._token) as calls:
            try:
                end = int(calls.get_json(f"{self._messages(topic)}?after=-1&wait=0&limit=1")["end"])
            except CallError as error:
                raise ChannelError(f"reading {topic.value} failed: {error}") from error
        self._waiting[topic].clear()
        self._positions[topic] = max(end - 1, -1)
        return end >= 0

    def close(self) -> None:
        """Close the connections."""
        self._polls.__exit__(None, None, None)

    def _messages(self, topic: Topic) -> str:
        return f"{self._base}/{topic.value}/messages/"

    def _settings(self) -> CallSettings:
        return CallSettings.lasting(self.patience)

    def _poll(self, topic: Topic, wait: float) -> list[Message]:
        wait = min(wait, LONGEST_WAIT)
        asked_at = time.monotonic()
        try:
            answer = self._polls.get_json(f"{self._messages(topic)}?after={self._positions[topic]}&wait={wait:g}")
        except CallError as error:
            if error.status is not None and error.status not in TRANSIENT_STATUSES:
                raise ChannelError(f"reading {topic.value} failed: {error}") from error
            self._bear(error, f"reading {topic.value}", wait)
            return []
        self._failing_since, self._delay = None, 0.0
        found = [self._message(topic, head) for head in answer["results"]]
        if found:
            self._positions[topic] = found[-1].offset
        elif (left := wait - (time.monotonic() - asked_at)) > 0:
            time.sleep(min(left, EARLY_DELAY))
        return found

    def _bear(self, error: CallError, what: str, longest: float) -> None:
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > self.patience:
            raise ChannelError(f"{what} failed for {self.patience:g} s: {error}") from error
        log.warning("%s: %s", what, error)
        self._delay = min(max(self._delay * 2, FIRST_DELAY), LONGEST_DELAY)
        time.sleep(min(self._delay, longest))

    def _message(self, topic: Topic, head: Mapping[str, Any]) -> Message:
        offset, size = int(head["offset"]), head["size"]
        content: Content | None = None
        if size is not None:
            url = f"{self._messages(topic)}{offset}/content/"
            content = RemoteContent(int(size), url, self._spool, self._token, self._settings())
        headers = {str(name): str(value) for name, value in head["headers"].items()}
        return Message(topic, offset, str(head["key"]), headers, content)


@dataclass(frozen=True)
class RemoteContent(Content):
    """Content that is downloaded when it is used."""

    size: int
    url: str
    spool: Path
    token: str
    settings: CallSettings

    def save(self, target: Path) -> None:
        """Download it; a broken download is resumed."""
        with Calls(self.settings, self.token) as calls:
            try:
                calls.download(self.url, target, RESUME_RETRIES)
            except CallError as error:
                raise ChannelError(f"a message cannot be downloaded: {error}") from error
        if target.stat().st_size != self.size:
            raise ChannelError(f"received {target.stat().st_size} bytes of a message, expected {self.size}")

    def read(self) -> bytes:
        """Download it into memory."""
        check_readable(self.size)
        path = self.spool / f"message-{uuid4().hex}"
        try:
            self.save(path)
            return path.read_bytes()
        finally:
            path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Do nothing: there is no local content."""
