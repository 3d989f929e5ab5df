"""The server: in each round it collects clients' models, merges them and sends the result; then it collects metrics."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.errors import LinkageError
from runtime.federated_manager import messages
from runtime.federated_manager.aggregation import Aggregation
from runtime.federated_manager.channel.base import Channel, Message, blake3_of
from runtime.federated_manager.engine import Engine, Job
from runtime.federated_manager.errors import ModelError, ModelsRefused, RoundError, RunFailed
from runtime.federated_manager.messages import Topic
from runtime.federated_manager.models import clear, pack_model, remove, save_model, unpack_model
from runtime.federated_manager.progress import Progress
from runtime.federated_manager.resumption import last_message
from runtime.federated_manager.roll import Roll, Verdict
from runtime.federated_manager.settings import ServerSettings

log = logging.getLogger(__name__)

# How long the server waits at one topic while it has to read another, or while an answer is unpacked.
GLANCE, SHORT_GLANCE = 1.0, 0.05
# A small answer is unpacked faster than the next one is requested.
MOMENT = 0.01
# "true" or "false"; a longer content is neither.
STATUS_LIMIT = 64


class Server:
    """One federated training's server.

    Its state is in the topics: the last merged model gives the last complete round, and each client's
    model of the next round is still stored, so a restarted server goes on from there.
    """

    def __init__(
        self, settings: ServerSettings, channel: Channel, engine: Engine, aggregation: Aggregation, progress: Progress
    ) -> None:
        self._settings, self._channel, self._engine = settings, channel, engine
        self._aggregation, self._progress = aggregation, progress
        self._roll = Roll(settings.clients, settings.minimum_clients, settings.continues)
        self._ready: set[str] = set()
        self._unready: set[str] = set()
        self._announced = False
        self._round = 0
        # The answer that is being checked and unpacked, while the next one may arrive.
        self._taking: tuple[str, Job] | None = None

    def run(self) -> None:
        """Carry out the rest of the training; raise RuntimeFault when it fails."""
        self._round = self._resume()
        if self._aggregation.needs_engine:
            self._engine.wait_until_ready()
        self._publish_status("true")
        self._announced = True
        self._roll.begin(self._round)
        if self._round == 0:
            self._await_clients()
        while self._round < self._settings.iterations:
            self._run_round()
            self._round += 1
            self._roll.begin(self._round)
        self._gather(self._take_metrics, time.monotonic() + self._settings.max_iteration_time)
        self._report("evaluated")
        try:
            self._engine.end()
        except LinkageError:
            # Where the manager merges, there may be no AI engine.
            if self._aggregation.needs_engine:
                raise

    def tell_failure(self, reason: str) -> None:
        """Report to the clients that the training has failed."""
        if not self._announced:
            self._publish_status("false")
            return
        headers = {
            messages.NAME: messages.START,
            messages.ITERATION: str(self._round),
            **messages.reason_header(reason),
        }
        self._channel.publish(Topic.TO_CLIENTS, self._settings.channel_id, headers, None)

    def _resume(self) -> int:
        """Return the round to continue with."""
        message = last_message(self._channel, Topic.TO_CLIENTS)
        if message is None:
            return 0
        message.discard()
        if message.content is None:
            raise RunFailed(f"the training had already failed: {messages.reason_of(message.headers)}")
        done = messages.iteration_of(message.headers)
        log.info("round %s is already complete", done)
        return 0 if done is None else done + 1

    def _publish_status(self, value: str) -> None:
        headers = {messages.NAME: messages.MANAGER_READY}
        self._channel.publish(Topic.STATUS, self._settings.channel_id, headers, value.encode())

    def _await_clients(self) -> None:
        """Wait until every client is ready; a first answer shows that too.

        Models that arrive meanwhile are taken at once.
        """
        limit = self._settings.max_initialization_time
        deadline = time.monotonic() + limit
        while len(self._ready | self._roll.answered | set(self._roll.failed)) < self._settings.clients:
            left = deadline - time.monotonic()
            if left <= 0 and self._settle():
                continue
            if left <= 0:
                self._begin_without(limit)
                return
            self._read_status(min(left, GLANCE))
            self._read_answer(0, self._take_model)

    def _begin_without(self, limit: float) -> None:
        ready = self._ready | self._roll.answered
        if not self._settings.continues or len(ready) < self._settings.minimum_clients:
            raise RoundError(
                f"{len(ready)} of {self._settings.clients} clients were ready within {limit:g} s: "
                f"{', '.join(sorted(ready)) or 'none'}"
            )
        log.warning("continuing with the %d clients that are ready", len(ready))
        self._roll.excuse(ready)

    def _read_status(self, wait: float) -> None:
        while (message := self._channel.read(Topic.STATUS, wait)) is not None:
            client = messages.client_of(self._settings.channel_id, message.key)
            if client is not None and message.headers.get(messages.NAME) == messages.CLIENT_READY:
                self._take_status(client, message)
                return
            # All channels share the topic.
            message.discard()
            wait = 0

    def _take_status(self, client: str, message: Message) -> None:
        if message.content is None:
            return
        if message.content.size > STATUS_LIMIT or not messages.is_safe_name(client) or not self._roll.admit(client):
            log.warning("ignored the status of %r, which is not one of the %d clients", client, self._settings.clients)
            message.discard()
        elif message.content.read().strip().lower() == b"true":
            self._ready.add(client)
            # A client that failed in the round may have reported that it is ready before, in a topic that is read
            # later.
            if client in self._unready:
                self._unready.discard(client)
                self._roll.failed.pop(client, None)
            self._report("client ready")
        elif client not in self._roll.answered:
            self._unready.add(client)
            self._roll.fail(client, message.headers.get(messages.REASON) or "its AI engine was not ready")
            self._report("client failed")

    def _run_round(self) -> None:
        deadline = time.monotonic() + self._settings.max_iteration_time
        self._gather(self._take_model, deadline)
        while refused := self._merge():
            for client, reason in refused.items():
                log.warning("the model of client %s cannot be merged: %s", client, reason)
                remove(self._folder_of(client))
                self._roll.reject(client, reason)
                self._report("client failed")
            # Where too few are left, clients that are no longer awaited may still answer.
            self._gather(self._take_model, deadline)
        self._publish_merged()

    def _merge(self) -> dict[str, str]:
        """Merge the received models; return the clients whose models cannot be merged, with the reason for each."""
        self._report("merging")
        if self._settings.merged_model.resolve() != self._settings.unmerged_models.resolve():
            clear(self._settings.merged_model)
        try:
            self._aggregation.start(sorted(self._roll.answered)).wait()
        except ModelsRefused as error:
            refused = {client: reason for client, reason in error.clients.items() if client in self._roll.answered}
            if not refused:
                raise
            return refused
        return {}

    def _publish_merged(self) -> None:
        archive = pack_model(
            self._settings.merged_model, self._settings.work / "merged.zip", self._settings.channel.max_model_size
        )
        headers = {
            messages.NAME: messages.START,
            messages.ITERATION: str(self._round),
            messages.BLAKE3: blake3_of(archive),
        }
        self._channel.publish(Topic.TO_CLIENTS, self._settings.channel_id, headers, archive)
        self._progress.traffic.sent += archive.stat().st_size
        archive.unlink()
        self._report("merged")

    def _gather(self, take: Callable[[str, Message], None], deadline: float) -> None:
        """Take the clients' answers until all are there or the round's time is over."""
        self._report("gathering")
        while not self._roll.complete:
            left = deadline - time.monotonic()
            if left <= 0 and self._settle():
                continue
            if left <= 0:
                self._roll.close(self._settings.max_iteration_time)
                return
            if not self._read_answer(min(left, self._settings.channel.poll_time_out), take):
                self._read_status(0)
        self._settle()

    def _read_answer(self, wait: float, take: Callable[[str, Message], None]) -> bool:
        """Handle the next message to the manager; return False when there was none."""
        if self._taking is not None and self._taking[1].ends_within(MOMENT):
            return self._settle()
        message = self._channel.read(Topic.TO_MANAGER, min(wait, SHORT_GLANCE) if self._taking else wait)
        if message is None:
            return False
        # Whether it counts may depend on the one before.
        self._settle()
        client = messages.client_of(self._settings.channel_id, message.key)
        number = messages.iteration_of(message.headers)
        if client is None or number is None or message.headers.get(messages.NAME) != messages.ENDED:
            log.warning(
                "a message with key %r and headers %s is not one of this protocol", message.key, message.headers
            )
            message.discard()
            return True
        verdict = Verdict.STRANGER
        if messages.is_safe_name(client):
            verdict = self._roll.judge(client, number, message.content is None)
        if verdict is not Verdict.COUNTS:
            log.warning("ignored an answer of client %s for round %d: %s", client, number, verdict.value)
            message.discard()
            return True
        if message.content is None:
            self._roll.fail(client, messages.reason_of(message.headers))
            self._report("client failed")
            return True
        self._progress.traffic.received += message.content.size
        self._taking = client, Job(lambda: take(client, message))
        return True

    def _settle(self) -> bool:
        """Wait until the last answer is unpacked, and count it; return False when there was none."""
        if self._taking is None:
            return False
        (client, job), self._taking = self._taking, None
        try:
            job.wait()
        except ModelError as error:
            self._roll.fail(client, str(error))
            self._report("client failed")
        else:
            self._roll.count(client)
            self._report("client answered")
        return True

    def _take_model(self, client: str, message: Message) -> None:
        assert message.content is not None
        if not self._roll.answered:
            clear(self._settings.unmerged_models)
        limit = self._settings.channel.max_model_size
        archive = save_model(message.content, message.headers, self._settings.work / "received.zip", limit)
        folder = self._folder_of(client)
        try:
            unpack_model(archive, folder)
        except ModelError:
            remove(folder)
            raise
        finally:
            archive.unlink()

    def _folder_of(self, client: str) -> Path:
        return self._settings.unmerged_models / f"{messages.MODEL_PREFIX}{client}"

    def _take_metrics(self, client: str, message: Message) -> None:
        assert message.content is not None
        data = message.content.read()
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ModelError("its evaluation metrics are not JSON") from error
        self._settings.metrics.mkdir(parents=True, exist_ok=True)
        _write(self._settings.metrics / f"{client}.json", data)
        self._progress.report("client evaluated", self._round, clients=self._clients(), of=client, metrics=document)

    def _report(self, step: str) -> None:
        self._progress.report(step, self._round, clients=self._clients())

    def _clients(self) -> dict[str, Any]:
        return {
            "expected": self._settings.clients,
            "ready": sorted(self._ready | self._roll.known),
            "answered": sorted(self._roll.answered),
            "failed": dict(self._roll.failed),
        }


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(data)
    partial.replace(path)
