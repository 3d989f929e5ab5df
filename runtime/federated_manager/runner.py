"""Run a role: its settings, its channel, its rounds, and the reports of a failure."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from runtime.calls import TOKEN_VARIABLE, Calls, CallSettings
from runtime.errors import MESSAGE_LIMIT, RuntimeFault, Stopped, plain_message, storable
from runtime.federated_manager.aggregation import make_aggregation
from runtime.federated_manager.channel.base import Channel
from runtime.federated_manager.channel.claims import ClaimCheckChannel
from runtime.federated_manager.channel.http import HttpChannel
from runtime.federated_manager.channel.kafka import KafkaChannel
from runtime.federated_manager.client import Client
from runtime.federated_manager.engine import Engine
from runtime.federated_manager.errors import RunFailed
from runtime.federated_manager.progress import Progress, Who
from runtime.federated_manager.server import Server
from runtime.federated_manager.settings import (
    KAFKA,
    ClientSettings,
    ServerSettings,
    failure_endpoint_in,
    read_settings,
)

log = logging.getLogger(__name__)

ERROR_FILE = "error_message.txt"
# How long the role tries to report a failure to the others.
LAST_WORDS_PATIENCE = 30.0
PROGRESS_SETTINGS = CallSettings(connect_timeout=3, read_timeout=10, attempts=2, longest_delay=1)


def main(argv: Sequence[str]) -> int:
    """Run a role and return its exit code: 0, or 1 after a failure."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    token = os.environ.get(TOKEN_VARIABLE, "")
    try:
        with _stop_on_signal():
            settings = read_settings(argv, os.environ)
            _run(settings, token)
    except Stopped as stopped:
        # A stopped pod may be started again and continue its round, so a stop is not reported as a failure.
        log.warning("%s", stopped)
        return 1
    except Exception as error:  # the outermost loop: whatever happened is reported and ends the role
        message = _message_of(error)
        log.error("the role failed: %s", message)
        _report(failure_endpoint_in(argv), token, message)
        return 1
    log.info("the role has succeeded")
    return 0


def _run(settings: ServerSettings | ClientSettings, token: str) -> None:
    spool = settings.work / "spool"
    # Messages that an earlier process received only partly are received again.
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir(parents=True, exist_ok=True)
    client = settings.client if isinstance(settings, ClientSettings) else ""
    who = Who(settings.channel_id, "client" if client else "server", client, settings.iterations)
    engine = Engine(settings.engine)
    with (
        Calls(PROGRESS_SETTINGS, token) as calls,
        Progress(who, settings.progress_endpoint, calls) as progress,
        open_channel(settings, spool, token) as channel,
    ):
        role = _make_role(settings, channel, engine, progress)
        try:
            role.run()
        except Stopped:
            raise
        except Exception as error:
            _tell_others(role, channel, error)
            progress.report("failed", None, message=_message_of(error))
            engine.end_after_failure()
            raise
        progress.report("ended", settings.iterations)
    shutil.rmtree(settings.work, ignore_errors=True)


def open_channel(settings: ServerSettings | ClientSettings, spool: Path, token: str) -> Channel:
    """Return the channel of a role's settings; `token` is the callback token."""
    channel = settings.channel
    opened: Channel
    if channel.adapter == KAFKA:
        opened = KafkaChannel(channel.bootstrap, settings.channel_id, spool, channel.security, channel.patience)
    else:
        opened = HttpChannel(channel.bootstrap, settings.channel_id, spool, token, channel.patience)
    if settings.claim_check_url:
        return ClaimCheckChannel(opened, settings.claim_check_url, spool, token)
    return opened


def _make_role(
    settings: ServerSettings | ClientSettings, channel: Channel, engine: Engine, progress: Progress
) -> Server | Client:
    if isinstance(settings, ServerSettings):
        return Server(settings, channel, engine, make_aggregation(settings, engine), progress)
    return Client(settings, channel, engine, progress)


def _tell_others(role: Server | Client, channel: Channel, error: Exception) -> None:
    if isinstance(error, RunFailed):
        return
    channel.patience = min(channel.patience, LAST_WORDS_PATIENCE)
    # A reason that the channel refuses must not prevent the report of the failure.
    for reason in (_message_of(error), ""):
        try:
            role.tell_failure(reason)
        except RuntimeFault as untold:
            log.error("the failure could not be reported to the other roles: %s", untold)
        else:
            return


def _report(endpoint: str, token: str, message: str) -> None:
    if endpoint:
        with Calls(CallSettings.from_environment(), token) as calls:
            try:
                calls.send_data("PATCH", endpoint, {"message": message})
            except RuntimeFault as error:  # the message still has to reach its file
                log.error("the failure could not be reported: %s", error)
    try:
        Path(ERROR_FILE).write_text(plain_message(message), encoding="utf-8")
    except OSError as error:
        log.error("%s could not be written: %s", ERROR_FILE, error)


def _message_of(error: Exception) -> str:
    if isinstance(error, (RuntimeFault, OSError)):
        return storable(str(error))[:MESSAGE_LIMIT]
    # The text of an unexpected error may hold a patient's data; its place in the code does not.
    log.error("unexpected %s at\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
    return f"unexpected error of the federated manager ({type(error).__name__})"


@contextlib.contextmanager
def _stop_on_signal() -> Iterator[None]:
    """Raise Stopped at SIGTERM."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Stopped("the role was stopped")

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
