"""Run a step: its actions in order, and the reports of a failure."""

import contextlib
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from runtime.calls import TOKEN_VARIABLE, Calls, CallSettings
from runtime.errors import MESSAGE_LIMIT, ArgumentsError, RuntimeFault, Stopped, plain_message, storable
from runtime.step_runner.action import Action, Context
from runtime.step_runner.arguments import Arguments, read_actions, read_command_line
from runtime.step_runner.references import Parameters

log = logging.getLogger(__name__)

ERROR_FILE = "error_message.txt"


def main(argv: Sequence[str]) -> int:
    """Run the step and return its exit code: 0, or 1 after a failure."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    with Calls(CallSettings.from_environment(), os.environ.get(TOKEN_VARIABLE, "")) as calls, _stop_on_signal():
        return run_step(argv, Context(calls))


def run_step(argv: Sequence[str], context: Context) -> int:
    """Read the arguments and carry them out; return 0, or 1 after a failure."""
    arguments = Arguments("", "", "")
    failure_actions: list[Action] = []
    try:
        arguments = read_command_line(argv)
        actions, failure_actions = _read_both(arguments, Parameters(context.calls))
        for index, action in enumerate(actions, 1):
            _run_one(action, context, f"action {index} of {len(actions)}")
    except Exception as error:  # the outermost loop: whatever happened is reported and ends the step
        message = _message_of(error)
        log.error("the step failed: %s", message)
        _fail(context, arguments.failure_endpoint, failure_actions, message)
        return 1
    log.info("all %d actions done", len(actions))
    return 0


def _read_both(arguments: Arguments, parameters: Parameters) -> tuple[list[Action], list[Action]]:
    """Return actions and failure actions; their faults are raised together."""
    found: list[list[Action]] = []
    faults: list[str] = []
    for text, what in ((arguments.actions, "actions"), (arguments.failure_actions, "failure-actions")):
        try:
            found.append(read_actions(text, what, parameters.resolved) if text or what == "actions" else [])
        except ArgumentsError as error:
            faults.extend(error.faults)
    if faults:
        raise ArgumentsError(faults)
    return found[0], found[1]


def _run_one(action: Action, context: Context, which: str) -> None:
    started = time.monotonic()
    log.info("%s: %s", which, action.name)
    action.run(context)
    log.info("%s: %s done in %.2f s", which, action.name, time.monotonic() - started)


def _fail(context: Context, endpoint: str, actions: Sequence[Action], message: str) -> None:
    for index, action in enumerate(actions, 1):
        try:
            _run_one(action, context, f"failure action {index} of {len(actions)}")
        except Exception as error:  # each runs, also after failures of others
            log.error("failure action %s failed: %s", action.name, _message_of(error))
    if endpoint:
        try:
            context.calls.send_data("PATCH", endpoint, {"message": message})
        except Exception as error:  # the message still has to reach its file
            log.error("the failure could not be reported: %s", _message_of(error))
    try:
        Path(ERROR_FILE).write_text(plain_message(message), encoding="utf-8")
    except OSError as error:
        log.error("%s could not be written: %s", ERROR_FILE, error)


def _message_of(error: Exception) -> str:
    if isinstance(error, (RuntimeFault, OSError)):
        return storable(str(error))[:MESSAGE_LIMIT]
    # The text of an unexpected error may hold a patient's data; its place in the code does not.
    log.error("unexpected %s at\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
    return f"unexpected error of the step runner ({type(error).__name__})"


@contextlib.contextmanager
def _stop_on_signal() -> Iterator[None]:
    """Raise Stopped at SIGTERM, so that uploads are undone and the failure is reported."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Stopped("the step was stopped")

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
