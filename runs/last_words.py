"""The last words of a failed container: its step, its name, its exit code and its last line of log.

An engine reports that a container ended with an exit code; the reason is mostly in the container's own log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from engines.base import Engine, EngineError, LogLine, WorkflowPhase, WorkflowStatus
from runs.logs import engine_of
from runs.models import WorkflowRun
from runs.nodes import FAILED_PHASES, Nodes, failure_message, first_failure, is_within, pod_of
from web.errors import NotFound

logger = logging.getLogger(__name__)

# An engine's words for the end of a container: "main: Error (exit code 3): why"; only a pod's message has the name.
_ENDED = re.compile(r"(?:(?P<container>[a-z0-9]([-a-z0-9]*[a-z0-9])?): )?(?P<reason>\w+) \(exit code (?P<code>\d+)\)")
_NAMED = re.compile(r"\bcontainer ([a-z0-9](?:[-a-z0-9]*[a-z0-9])?) ended with exit code (\d+)")
_LONGEST_LINE = 500
_FEW_LINES = 5000
# Part of the message of step runners and federated managers for an AI engine that never answered.
_NOT_READY = "not ready within"
# Part of the message of a container that waited for another one, which failed.
_NOT_STARTED = "64"
# What a user can do about a container that failed.
_REMEDIES = (
    (
        re.compile(r"OOMKilled|exit code 137"),
        "The container used more memory than its limit: raise the limit, or give the container less data.",
    ),
    (re.compile(r"exit code 127|executable file not found|No such file"), "The image does not contain this command."),
    (re.compile(r"exit code 126"), "The command is not an executable program."),
    (re.compile(r"ErrImagePull|ImagePullBackOff|InvalidImageName"), "Check the image's name, version and registry."),
)


@dataclass(frozen=True)
class Culprit:
    """A container that failed; `words` are the engine's, `ended_at` is when, in whole seconds."""

    node_id: str
    step: str
    container: str
    code: str
    words: str
    ended_at: str
    is_of_exit_handler: bool


def run_last_words(run: WorkflowRun, message: str) -> str:
    """Return the last words of the container that made a run fail, as its engine knows them now; may be ''.

    If a container waited in vain for an AI engine, they are the reason why the Workflow waits: mostly an image that is
    not available.
    """
    try:
        engine = engine_of(run)
        words = last_words(engine.get(run.name).nodes, run.name, engine, message)
        return _storable(words or (engine.explain(run.name) if _NOT_READY in message else ""))
    except (EngineError, NotFound) as error:
        logger.info("Run %s: its last words are not known: %s", run.name, error)
        return ""


def run_engine_words(run: WorkflowRun) -> str:
    """Return why a run failed, by its engine's words alone, for a Workflow that gave no reason; may be ''.

    They are the message of the node that failed first, what pods, events and nodes show, and the last words of its
    container.
    """
    try:
        engine = engine_of(run)
        nodes = engine.get(run.name).nodes
        first, surroundings = first_failure(nodes), engine.explain(run.name)
        said = f"{first} ({surroundings})" if first and surroundings else first or surroundings
        return _storable(with_last_words(said, last_words(nodes, run.name, engine, said)))
    except (EngineError, NotFound) as error:
        logger.info("Run %s: why it failed is not known: %s", run.name, error)
        return ""


def step_last_words(run: WorkflowRun, step: Mapping[str, Any]) -> str:
    """Return the last words of the container that made a step of a run fail, by the run's nodes."""
    within = {node_id: node for node_id, node in run.nodes.items() if is_within(node, step)}
    try:
        return last_words(within, run.name, engine_of(run))
    except NotFound:
        return ""


def soon_known_last_words(status: WorkflowStatus, engine: Engine) -> str:
    """Return the last words of a failed Workflow if they are found at once; '' if that takes longer.

    Readers of a run that has just failed see them at once. Others are added a moment later.
    """
    if not engine.is_of_this_machine or status.phase not in (WorkflowPhase.FAILED, WorkflowPhase.ERROR):
        return ""
    culprit = culprit_of(status.nodes)
    try:
        lines = engine.logs(status.name, culprit.node_id) if culprit is not None else iter(())
        is_long = next(islice(lines, _FEW_LINES, None), None) is not None
    except EngineError:
        return ""
    return "" if is_long else last_words(status.nodes, status.name, engine, failure_message(status))


def last_words(nodes: Nodes, name: str, engine: Engine, message: str = "") -> str:
    """Return the last words of the container that failed first, '' if there is none.

    `message` is the known message of the failure: if it names a container, that one is looked at, and what it says is
    not repeated. Unknown parts are left out.
    """
    culprit = culprit_of(nodes, message)
    if culprit is None:
        return ""
    where = f"Step {culprit.step}, container {culprit.container}"
    where += f" (exit code {culprit.code})" if culprit.code else ""
    if where in message:
        return ""
    try:
        line = _last_line(line for line in engine.logs(name, culprit.node_id) if line.container == culprit.container)
    except EngineError as error:
        logger.info("Container %s of %s: its last words are not known: %s", culprit.container, name, error)
        line = ""
    if line is None:
        said = f"{where}, wrote no log." if culprit.code else ""
    else:
        said = f"{where}." if _tells_nothing_new(line, message) else f"{where}, wrote last: {line}"
    known = f"{culprit.words} exit code {culprit.code} {line or ''}"
    remedy = next((words for pattern, words in _REMEDIES if pattern.search(known) and words not in message), "")
    return _storable(f"{said} {remedy}")


def with_last_words(message: str, words: str) -> str:
    """Return a message of a failure, followed by a container's last words."""
    message = message.rstrip()
    if not words or words in message:
        return message
    if not message:
        return words
    return f"{message}{'' if message.endswith(('.', '!', '?')) else '.'} {words}"


def culprit_of(nodes: Nodes, message: str = "") -> Culprit | None:
    """Return the container that failed first in the last attempt of each step; one that a message names goes first.

    Exit handlers come last: they mostly fail because of the failure that they handle.
    """
    named = dict(_NAMED.findall(message))
    found = [*_Reading(nodes, named).culprits()]
    return min(
        found, key=lambda each: (each.container not in named, each.is_of_exit_handler, each.ended_at), default=None
    )


class _Reading:
    """Finds failures in a Workflow's nodes; `named` are the failed containers that a message names, with exit codes."""

    def __init__(self, nodes: Nodes, named: Mapping[str, str]) -> None:
        self._nodes, self._named = nodes, named
        # Attempts that were followed by another one.
        self._repeated = set[str]()
        for node in nodes.values():
            if node.get("type") == "Retry":
                attempts = [each for each in node.get("children") or () if nodes.get(each, {}).get("type") == "Pod"]
                self._repeated.update(attempts if node.get("phase") == "Succeeded" else attempts[:-1])

    def culprits(self) -> Iterator[Culprit]:
        """Yield the failed containers; for a pod without nodes for its containers, by the pod's node."""
        told = set[str]()
        for node in self._nodes.values():
            if node.get("type") == "Container" and (culprit := self._of_container(node)) is not None:
                told.add(culprit.node_id)
                yield culprit
        for node_id, node in self._nodes.items():
            if (
                node.get("type") == "Pod"
                and node.get("phase") in FAILED_PHASES
                and node_id not in told | self._repeated
            ):
                words = str(node.get("message") or "")
                found = _ENDED.match(words)
                container = (found["container"] if found else "") or "main"
                yield self._culprit(node, node, container, found["code"] if found else "", words)

    def _of_container(self, node: Mapping[str, Any]) -> Culprit | None:
        container, words = str(node.get("displayName") or ""), str(node.get("message") or "")
        pod = pod_of(self._nodes, node)
        if pod is None or str(pod.get("id")) in self._repeated:
            return None
        found = _ENDED.search(words)
        failed = node.get("phase") in FAILED_PHASES and found is not None and found["code"] != _NOT_STARTED
        if not failed and container not in self._named:
            return None
        return self._culprit(pod, node, container, found["code"] if found else self._named.get(container, ""), words)

    @staticmethod
    def _culprit(pod: Mapping[str, Any], ended: Mapping[str, Any], container: str, code: str, words: str) -> Culprit:
        step = " ".join(str(pod.get("displayName") or pod.get("id")).split())
        ended_at = str(ended.get("finishedAt") or "~")
        return Culprit(str(pod.get("id")), step, container, code, words, ended_at, ".onExit" in str(pod.get("name")))


def _last_line(lines: Iterable[LogLine]) -> str | None:
    """Return the last line that is not empty, None if nothing was written.

    If both outputs end within the same second, it is the last line of each: a program often writes its error to one
    output and flushes the other at its exit.
    """
    last = {line.stream: line for line in lines if line.text.strip()}
    if not last:
        return None
    newest = max(line.at for line in last.values())
    found = [last[stream] for stream in sorted(last) if last[stream].at[:19] >= newest[:19]]
    return " | ".join(_shortened(line.text) for line in found)


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]} […]"


def _storable(text: str) -> str:
    return text.strip().replace("\0", "\ufffd")


def _tells_nothing_new(line: str, message: str) -> bool:
    message = " ".join(message.split())
    return not line or (bool(message) and (line in message or message in line))
