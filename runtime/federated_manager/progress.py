"""Progress reports of a role: log lines, and JSON documents where an address is configured."""

from __future__ import annotations

import json
import logging
import math
import queue
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from runtime.calls import Calls
from runtime.errors import CallError, storable

log = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0


@dataclass
class Traffic:
    """Bytes of models and metrics that went over the channel."""

    sent: int = 0
    received: int = 0


@dataclass(frozen=True)
class Who:
    """The reporting role; `client` is '' for the server."""

    channel_id: str
    role: str
    client: str
    rounds: int


class Progress:
    """Log each step, and post it to `endpoint` from a thread of its own: a report never delays or fails a round."""

    def __init__(self, who: Who, endpoint: str, calls: Calls) -> None:
        self.traffic = Traffic()
        self._who, self._endpoint, self._calls = who, endpoint, calls
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._post, daemon=True)

    def __enter__(self) -> Self:
        if self._endpoint:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._endpoint:
            self._queue.put(None)
            self._thread.join(CLOSE_SECONDS)

    def report(self, step: str, round_number: int | None, **more: Any) -> None:
        """Report a step; `round_number` counts from 0, and is the number of rounds in the evaluation."""
        document = {
            "at": datetime.now(UTC).isoformat(),
            "role": self._who.role,
            "channel_id": self._who.channel_id,
            "client": self._who.client,
            "step": step,
            "round": round_number,
            "rounds": self._who.rounds,
            "bytes_sent": self.traffic.sent,
            "bytes_received": self.traffic.received,
            **more,
        }
        log.info("progress %s", json.dumps({name: value for name, value in document.items() if name != "metrics"}))
        if self._endpoint:
            self._queue.put(_acceptable(document))

    def _post(self) -> None:
        while (document := self._queue.get()) is not None:
            try:
                self._calls.send_json("POST", self._endpoint, document)
            except CallError as error:
                log.warning("progress could not be reported: %s", error)


def _acceptable(value: Any) -> Any:
    """Return a document that the receiver accepts: null stands for numbers that are not finite."""
    if isinstance(value, dict):
        return {storable(str(key)): _acceptable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_acceptable(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return storable(value) if isinstance(value, str) else value


@dataclass(frozen=True)
class Heard:
    """The clients of a round by their state."""

    answered: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
