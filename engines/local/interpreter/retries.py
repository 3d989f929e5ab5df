"""retryStrategy: a Retry node whose children are the attempts.

Source: https://argo-workflows.readthedocs.io/en/latest/retries/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engines.local.interpreter.calls import Call, CallError, Owner, bind
from engines.local.interpreter.expressions import holds
from engines.local.interpreter.nodes import UNSUCCESSFUL, Node, seconds_between
from engines.local.interpreter.outputs import publish_globals
from engines.local.interpreter.tags import Scope, Unresolved, render, text_of
from engines.local.interpreter.values import InvalidExpression

if TYPE_CHECKING:
    from engines.local.interpreter.machine import Machine

_LAST_RETRY = ("lastRetry.exitCode", "lastRetry.status", "lastRetry.duration", "lastRetry.message")
_MOST_DIGITS = 18
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# The longest time.Duration of Go: 2**63 nanoseconds.
LONGEST_SECONDS = 2.0**63 / 1e9


def seconds_of(duration: Any) -> float:
    """Return a duration such as `90`, `1.5m` or `1h30m` in seconds. Raises `ValueError`."""
    text = text_of(duration).strip()
    seconds = _read_seconds(text)
    # Written so that NaN, which compares as false, is refused too.
    if not abs(seconds) <= LONGEST_SECONDS:
        raise ValueError(f"'{text[:40]}' is not a duration")
    return seconds


def factor_of(backoff: dict[str, Any]) -> float:
    """Return by how much each pause is longer than the one before it. Raises `ValueError`."""
    factor = backoff.get("factor")
    text = "1" if factor in (None, "") else text_of(factor)
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise ValueError(f"factor '{text[:40]}' is not a whole number")
    return float(text)


def _read_seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    total, number, position = 0.0, "", 0
    while position < len(text):
        letter = text[position]
        if letter.isdigit() or letter == ".":
            number += letter
            position += 1
            continue
        unit = "ms" if text.startswith("ms", position) else letter
        if unit not in _UNITS or not number:
            raise ValueError(f"'{text}' is not a duration")
        total += float(number) * _UNITS[unit]
        number = ""
        position += len(unit)
    if number or not text:
        raise ValueError(f"'{text}' is not a duration")
    return total


def limit_of(strategy: dict[str, Any]) -> int | None:
    """Return the limit of a retryStrategy, None for no limit. Raises `CallError`."""
    limit = strategy.get("limit")
    if limit is None or limit == "":
        return None
    try:
        return int(text_of(limit))
    except ValueError as error:
        raise CallError(f"retryStrategy.limit '{limit}' is not a number") from error


def without_expression(strategy: dict[str, Any]) -> dict[str, Any]:
    """Return a strategy without its expression, whose tags have values only when an attempt has ended."""
    return {**strategy, "expression": True} if strategy.get("expression") else strategy


class Retries(Owner):
    """A call that is tried again when it fails."""

    def __init__(self, machine: Machine, call: Call, node: Node, strategy: dict[str, Any]) -> None:
        self.machine = machine
        self.call = call
        self.node = node
        self.limit = limit_of(strategy)
        # As in Argo, an expression decides for every failed attempt.
        self.policy = strategy.get("retryPolicy") or ("Always" if strategy.get("expression") else "OnFailure")
        self.expression = str((call.template.get("retryStrategy") or {}).get("expression") or "")
        self.backoff = strategy.get("backoff") or {}
        self.began = machine.now()
        self.attempts = 0
        self.last = dict.fromkeys(_LAST_RETRY, "")

    def begin(self) -> None:
        """Make an attempt."""
        number, call = self.attempts, self.call
        self.attempts += 1
        attempt = Call(
            f"{call.name}({number})",
            f"{call.display}({number})",
            call.template,
            self,
            parameters=call.parameters,
            artifacts=call.artifacts,
            boundary=call.boundary,
            on_exit=call.on_exit,
            depth=call.depth,
            capture=call.capture,
            flag={**(call.flag or {}), "retried": True},
            placement=call.placement,
            outer=call.outer,
            absent=call.absent,
        )
        attempt.local = {**call.local, "retries": str(number), **self.last}
        node = self.machine.call(attempt, attempt_of_retry=True)
        self.machine.store.link(self.node["id"], node["id"])

    def child_done(self, node: Node) -> None:
        machine = self.machine
        if node.get("outputs"):
            self.node["outputs"] = node["outputs"]
            publish_globals(node["outputs"], machine.values, machine.artifacts)
        if node["phase"] not in UNSUCCESSFUL:
            for key in ("podIP", "hostNodeName", "daemoned"):
                if key in node and node.get("daemoned"):
                    self.node[key] = node[key]
            machine.finish(self.node, "Running" if node.get("daemoned") else node["phase"], "")
            return
        if machine.halted(self.call.on_exit):
            machine.finish(self.node, node["phase"], machine.said_of_retry())
            return
        if not self._wanted(node["phase"]):
            machine.finish(self.node, node["phase"], node.get("message", ""))
            return
        if self.limit is not None and self.attempts > self.limit:
            machine.finish(self.node, node["phase"], "No more retries left")
            return
        self._remember(node)
        try:
            is_wanted = self._is_wanted_by_expression()
        except (InvalidExpression, Unresolved) as error:
            machine.finish(self.node, "Error", str(error))
            return
        if not is_wanted:
            machine.finish(self.node, node["phase"], "retryStrategy.expression evaluated to false")
            return
        self._again(node)

    def _is_wanted_by_expression(self) -> bool:
        """Return whether the strategy's expression, which sees the end of the last attempt, allows another one."""
        if not self.expression:
            return True
        machine, call = self.machine, self.call
        outer = Scope(call.local, *call.outer, machine.values, now=machine.now)
        bound = bind(call, machine.parameters, outer, frozenset(), machine.config_maps)
        scope = Scope(self.last, call.local, bound.values, *call.outer, machine.values, now=machine.now)
        return holds(render(self.expression, scope.lookup), scope.names())

    def _remember(self, node: Node) -> None:
        outputs = node.get("outputs") or {}
        duration = seconds_between(node["startedAt"], node["finishedAt"])
        values = (outputs.get("exitCode", "-1"), node["phase"], duration, node.get("message", ""))
        self.last = dict(zip(_LAST_RETRY, values, strict=True))

    def _wanted(self, phase: str) -> bool:
        if self.policy == "Always":
            return True
        return phase == ("Error" if self.policy in ("OnError", "OnTransientError") else "Failed")

    def _again(self, node: Node) -> None:
        if not self.backoff.get("duration"):
            self.begin()
            return
        try:
            wait, longest = self._next_pause(), self.backoff.get("maxDuration")
            ends = self.began + seconds_of(longest) if longest else None
        except ValueError as error:
            self.machine.finish(self.node, "Error", f"retryStrategy.backoff: {error}")
            return
        if ends is not None and self.machine.now() + wait > ends:
            late = self.machine.now() > ends
            said = "Max duration limit exceeded" if late else "Backoff would exceed max duration limit"
            self.machine.finish(self.node, node["phase"], said)
            return
        self.machine.store.mark(self.node, "Running", f"Backoff for {_spoken(wait)}")
        self.machine.pause(self.node, wait, on_exit=self.call.on_exit, then=lambda: self._after_backoff(node))

    def _next_pause(self) -> float:
        """Return the seconds until the next attempt. Raises `ValueError`."""
        wait = seconds_of(self.backoff["duration"])
        try:
            wait *= factor_of(self.backoff) ** (self.attempts - 1)
        except OverflowError:
            wait = LONGEST_SECONDS
        if self.backoff.get("cap"):
            wait = min(wait, seconds_of(self.backoff["cap"]))
        return min(wait, LONGEST_SECONDS)

    def _after_backoff(self, last: Node) -> None:
        machine = self.machine
        if machine.is_over(self.node):
            return
        if machine.halted(self.call.on_exit):
            machine.finish(self.node, last["phase"], machine.said_of_retry())
            return
        machine.store.mark(self.node, "Running", "")
        self.begin()


def _spoken(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} minutes {rest} seconds" if minutes else f"{rest} seconds"
