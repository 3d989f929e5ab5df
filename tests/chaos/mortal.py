"""An engine and an owner that kill their process at a named step, where a file says so."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from engines.argo import ArgoEngine
from engines.base import StopStrategy, Submission, WorkflowStatus
from policy.rules import Grant
from runs.models import WorkflowRun
from runs.owners import Attachments, RunOwner
from tests.engines.argo.behaviours import BEHAVIOUR_ANNOTATION

OWNER_KIND = "chaos"
FOLDER_VARIABLE = "CHAOS_FOLDER"
_CALLS = ("prepare", "submit", "stop", "release", "delete")
STEPS = (
    *(f"{call}.{when}" for call in _CALLS for when in ("before", "after")),
    *(f"phase:{phase}" for phase in ("submitted", "running", "succeeded", "failed", "stopped")),
)


def order_in(folder: Path) -> Path:
    """Return the file that holds the step at which the next process dies."""
    return folder / "die-at"


def _die_at(step: str) -> None:
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return
    order = order_in(Path(folder))
    try:
        if order.read_text() != step:
            return
        # Only one process can take the order.
        order.rename(order.with_name(f"died-{os.getpid()}"))
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


class MortalEngine(ArgoEngine):
    """The Argo engine itself, with a step before and after each of its writing calls."""

    def submit(self, submission: Submission) -> WorkflowStatus:
        _die_at("submit.before")
        status = super().submit(submission)
        _die_at("submit.after")
        return status

    def stop(self, name: str, strategy: StopStrategy = StopStrategy.STOP) -> None:
        _die_at("stop.before")
        super().stop(name, strategy)
        _die_at("stop.after")

    def delete(self, name: str) -> None:
        _die_at("delete.before")
        super().delete(name)
        _die_at("delete.after")


class MortalOwner(RunOwner):
    """Gives every run a Secret."""

    def prepare(self, run: WorkflowRun) -> Attachments:
        _die_at("prepare.before")
        attachments = Attachments(secrets={secret_of(run.name): {"token": f"token of {run.name}"}})
        _die_at("prepare.after")
        return attachments

    def grant(self, run: WorkflowRun) -> Grant:
        return Grant(annotations=frozenset({BEHAVIOUR_ANNOTATION}))

    def phase_changed(self, run: WorkflowRun) -> None:
        _die_at(f"phase:{run.phase}")

    def release(self, run: WorkflowRun) -> None:
        _die_at("release.before")
        _die_at("release.after")


def secret_of(name: str) -> str:
    return f"{name}-callback"


def config_map_of(name: str) -> str:
    return f"{name}-platform"
