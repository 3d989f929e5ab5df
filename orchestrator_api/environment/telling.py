"""Check the settings before a program starts, and report faults and warnings on stderr."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from orchestrator_api.environment.choices import TOLD
from orchestrator_api.environment.reading import Environment, WrongSettings
from orchestrator_api.logs import JsonFormatter, TextFormatter

SETTINGS = "orchestrator_api.settings"
WRONG_SETTINGS = 2
_LOGGER = "orchestrator.settings"


def checked_environment(*, serves: bool = False) -> Environment:
    """Return this process's environment; with wrong settings the process ends with exit code 2, and a line for each.

    The first process reports the warnings; processes that it starts find a mark and stay silent. `serves`: as
    Environment.
    """
    try:
        found = Environment(os.environ, serves=serves)
    except WrongSettings as error:
        tell(error.notes)
        end_with(error.faults)
    tell(found.notes)
    return found


def tell(notes: Sequence[str]) -> None:
    """Write warnings as the lines of a log, before logging is set up, unless a parent has reported them."""
    if os.environ.get(TOLD):
        return
    os.environ[TOLD] = "true"
    log_format = os.environ.get("LOG_FORMAT") or ("text" if sys.stderr.isatty() else "json")
    formatter = TextFormatter() if log_format.lower() == "text" else JsonFormatter()
    for note in notes:
        record = logging.LogRecord(_LOGGER, logging.WARNING, __file__, 0, note, None, None)
        print(formatter.format(record), file=sys.stderr, flush=True)


def end_with(faults: Sequence[str]) -> NoReturn:
    """End the process with the exit code for wrong settings."""
    for fault in faults:
        print(fault, file=sys.stderr, flush=True)
    sys.exit(WRONG_SETTINGS)
