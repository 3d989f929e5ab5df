"""The step runner's command line."""

import argparse
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from runtime.errors import ArgumentsError
from runtime.step_runner.action import Action
from runtime.step_runner.actions import ACTIONS
from runtime.step_runner.fields import read_action

_STRING_OR_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[\]}])', re.DOTALL)


@dataclass(frozen=True)
class Arguments:
    """The command line before its JSON is parsed."""

    actions: str
    failure_endpoint: str
    failure_actions: str


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise instead of exiting, so that the fault is reported like any other."""
        raise ArgumentsError([message])


def read_command_line(argv: Sequence[str]) -> Arguments:
    """Split the command line; raise ArgumentsError when it is malformed."""
    parser = _Parser(prog="step_runner", description="Carry out the actions of a step, in order.")
    parser.add_argument("actions", help='{"actions": [{"name": …, …}, …]}')
    parser.add_argument("--failure-endpoint", default="", help="the address that gets a failure's message by PATCH")
    parser.add_argument("--failure-actions", default="", help="actions to carry out after a failure")
    parsed = parser.parse_args(list(argv))
    return Arguments(parsed.actions, parsed.failure_endpoint, parsed.failure_actions)


def read_actions(
    text: str, what: str = "actions", resolved: Callable[[Any], Any] = lambda value: value
) -> list[Action]:
    """Return the actions of a JSON document; raise ArgumentsError with all of its faults.

    `resolved` replaces references in the document; its errors are passed on.
    """
    entries = resolved(_entries(text, what))
    actions: list[Action] = []
    faults: list[str] = []
    for index, entry in enumerate(entries):
        where = f"{what}[{index}]"
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(name, str):
            faults.append(f"{where}: must be an object with a name")
            continue
        if name not in ACTIONS:
            faults.append(f"{where}: the action {name!r} is not known")
            continue
        try:
            actions.append(read_action(ACTIONS[name], entry, f"{where} ({name})"))
        except ArgumentsError as error:
            faults.extend(error.faults)
    if faults:
        raise ArgumentsError(faults)
    return actions


def without_trailing_commas(text: str) -> str:
    """Return JSON without commas before `]` or `}`; strings stay unchanged."""
    return _STRING_OR_TRAILING_COMMA.sub(lambda found: found.group(1) or "", text)


def _entries(text: str, what: str) -> list[object]:
    try:
        # Not strict: text pasted into a manifest may hold a raw line break.
        document = json.loads(without_trailing_commas(text), strict=False)
    except ValueError as error:
        raise ArgumentsError([f"{what}: not JSON: {error}"]) from error
    except RecursionError as error:
        raise ArgumentsError([f"{what}: nested too deeply"]) from error
    entries = document.get("actions") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ArgumentsError([f'{what}: must be of the form {{"actions": [...]}}'])
    return entries
