"""A client: in each round it trains, sends its model and takes the merged one; then it evaluates."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from runtime.federated_manager import messages
from runtime.federated_manager.channel.base import READ_LIMIT, Channel, Message, blake3_of
from runtime.federated_manager.engine import Engine
from runtime.federated_manager.errors import ModelError, RunFailed
from runtime.federated_manager.messages import Topic
from runtime.federated_manager.models import clear, pack_model, save_model, unpack_model
from runtime.federated_manager.progress import Progress
from runtime.federated_manager.resumption import last_message
from runtime.federated_manager.settings import TRAININGS, ClientSettings

log = logging.getLogger(__name__)

EVALUATING = "evaluating_from_pretrained_model"
# How often the client reads the server's messages while the AI engine works.
GLANCE = 1.0
REPORTED_METRICS_LIMIT = 64 * 1024


class Client:
    """One partner's client.

    A restarted client finds its round by the last merged model. A model that was trained and perhaps not
    sent is in the work folder; if it is sent twice, the server counts it once.
    """

    def __init__(self, settings: ClientSettings, channel: Channel, engine: Engine, progress: Progress) -> None:
        self._settings, self._channel, self._engine, self._progress = settings, channel, engine, progress
        self._key = messages.client_key(settings.channel_id, settings.client)
        self._announced = False
        self._round = 0
        # The newest merged model: its round, and its file until it is used.
        self._merged_round = -1
        self._merged = settings.work / "merged.zip"

    def run(self) -> None:
        """Carry out the rest of the training; raise RuntimeFault when it fails."""
        last = last_message(self._channel, Topic.TO_CLIENTS)
        if last is not None:
            self._take(last)
        self._engine.wait_until_ready()
        self._publish_status("true")
        self._announced = True
        self._report("ready")
        if self._merged_round < 0:
            self._await_server()
        while True:
            self._use_merged_model()
            if self._round == self._settings.iterations:
                break
            self._train()
            self._await_merged_model()
        self._evaluate()
        self._engine.end()

    def tell_failure(self, reason: str) -> None:
        """Report to the server that this client has failed."""
        why = messages.reason_header(reason)
        if not self._announced:
            self._publish_status("false", why)
        else:
            self._channel.publish(Topic.TO_MANAGER, self._key, self._headers() | why, None)

    def _publish_status(self, value: str, more: dict[str, str] | None = None) -> None:
        headers = {messages.NAME: messages.CLIENT_READY} | (more or {})
        self._channel.publish(Topic.STATUS, self._key, headers, value.encode())

    def _headers(self) -> dict[str, str]:
        return {messages.NAME: messages.ENDED, messages.ITERATION: str(self._round)}

    def _await_server(self) -> None:
        """Wait until the server is ready; after a restart of the client, a merged model shows that too."""
        limit = self._settings.initialization_time_out
        deadline = time.monotonic() + limit
        while not self._server_is_ready(min(GLANCE, max(deadline - time.monotonic(), 0))):
            self._listen(0)
            if self._merged_round >= 0:
                return
            if time.monotonic() >= deadline:
                raise RunFailed(f"the server was not ready within {limit:g} s")

    def _server_is_ready(self, wait: float) -> bool:
        while (message := self._channel.read(Topic.STATUS, wait)) is not None:
            wait = 0
            ours = message.key == self._settings.channel_id and message.content is not None
            if not ours or message.headers.get(messages.NAME) != messages.MANAGER_READY:
                # All channels share the topic.
                message.discard()
            elif message.content is not None and message.content.read().strip().lower() == b"true":
                return True
            else:
                raise RunFailed("the server failed before it was ready")
        return False

    def _use_merged_model(self) -> None:
        """Go on to the round after the newest merged model."""
        self._round = self._merged_round + 1
        if self._round == 0:
            return
        log.info("round %d is over", self._merged_round)
        try:
            unpack_model(self._merged, self._settings.merged_model)
        except ModelError as error:
            raise ModelError(f"the merged model of round {self._merged_round} cannot be used: {error}") from error
        self._merged.unlink()
        for old in self._settings.work.glob("trained-*.zip"):
            if old != self._outgoing:
                old.unlink()

    @property
    def _outgoing(self) -> Path:
        return self._settings.work / f"trained-{self._round}.zip"

    def _train(self) -> None:
        if not self._outgoing.is_file():
            use_case = self._settings.use_case if self._round == 0 else TRAININGS[1]
            if self._settings.unmerged_model.resolve() != self._settings.merged_model.resolve():
                clear(self._settings.unmerged_model)
            if not self._run_engine(use_case):
                return
            limit = self._settings.channel.max_model_size
            pack_model(self._settings.unmerged_model, self._outgoing, limit)
        headers = self._headers() | {messages.BLAKE3: blake3_of(self._outgoing)}
        self._channel.publish(Topic.TO_MANAGER, self._key, headers, self._outgoing)
        self._progress.traffic.sent += self._outgoing.stat().st_size
        self._report("sent", **self._metrics())

    def _run_engine(self, use_case: str) -> bool:
        """Run a use case and read the server's messages meanwhile; return False when the server has gone on without
        it."""
        self._report(use_case)
        job = self._engine.start(use_case)
        while not job.wait(GLANCE):
            self._listen(0)
        if self._merged_round >= self._round:
            log.warning("the server has gone on to round %d without this client", self._merged_round + 1)
            return False
        return True

    def _await_merged_model(self) -> None:
        limit = self._settings.start_time_out
        deadline = time.monotonic() + limit
        while self._merged_round < self._round:
            left = deadline - time.monotonic()
            if left <= 0:
                raise RunFailed(f"the server sent no merged model of round {self._round} within {limit:g} s")
            self._listen(min(left, self._settings.channel.poll_time_out))

    def _evaluate(self) -> None:
        self._settings.metrics.unlink(missing_ok=True)
        self._run_engine(EVALUATING)
        try:
            size = self._settings.metrics.stat().st_size
            if size > READ_LIMIT:
                raise ModelError(f"the evaluation metrics have {size} bytes; at most {READ_LIMIT} are allowed")
            data = self._settings.metrics.read_bytes()
        except FileNotFoundError as error:
            raise ModelError("the AI engine wrote no evaluation metrics") from error
        self._channel.publish(Topic.TO_MANAGER, self._key, self._headers(), data)
        self._progress.traffic.sent += len(data)
        self._report("evaluated", **self._metrics())

    def _listen(self, wait: float) -> None:
        """Handle new messages of the server."""
        while (message := self._channel.read(Topic.TO_CLIENTS, wait)) is not None:
            self._take(message)
            wait = 0

    def _take(self, message: Message) -> None:
        """Keep a merged model that is newer than the present one; raise RunFailed when the training has failed."""
        ours = message.key == self._settings.channel_id and message.headers.get(messages.NAME) == messages.START
        number = messages.iteration_of(message.headers)
        if ours and message.content is None:
            raise RunFailed(f"the training has failed: {messages.reason_of(message.headers)}")
        if not ours or number is None or number >= self._settings.iterations:
            log.warning(
                "a message with key %r and headers %s is not one of this protocol", message.key, message.headers
            )
            message.discard()
            return
        assert message.content is not None
        if number <= self._merged_round:
            log.info("the merged model of round %d was received again", number)
            message.discard()
            return
        self._progress.traffic.received += message.content.size
        try:
            save_model(message.content, message.headers, self._merged, self._settings.channel.max_model_size)
        except ModelError as error:
            raise ModelError(f"the merged model of round {number} cannot be used: {error}") from error
        self._merged_round = number

    def _metrics(self) -> dict[str, Any]:
        """Return the AI engine's metrics, or None."""
        try:
            if self._settings.metrics.stat().st_size > REPORTED_METRICS_LIMIT:
                return {}
            return {"metrics": json.loads(self._settings.metrics.read_bytes())}
        except (OSError, ValueError, RecursionError):
            return {}

    def _report(self, step: str, **more: Any) -> None:
        self._progress.report(step, self._round, **more)
