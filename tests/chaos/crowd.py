"""Many runs and their users: who submits, stops and deletes, and how each run has to end."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from runs.models import RunPhase, RunReason, WorkflowRun
from runs.services import run_create, run_delete, run_stop
from tests.chaos.mortal import OWNER_KIND, config_map_of, secret_of
from tests.engines.argo.behaviours import BEHAVIOUR_ANNOTATION

DEADLINE_SECONDS = 15.0
MOST_UNDER_WAY = 100
# So few that those held back last until each step has had its turn, also where nobody comes to it for long.
FEWEST_UNDER_WAY = 2
# The share of what has ended that its users delete at each look; all of it once nothing else goes on.
DELETED_PER_LOOK = 0.05
Ending = tuple[str, str]


@dataclass(frozen=True)
class Plan:
    """A kind of run: what its Workflow does, what its user does, how it may end."""

    behaviour: str
    endings: frozenset[Ending]
    share: int
    stop: str = ""
    deadline_seconds: float | None = None


def _ending(phase: RunPhase, reason: RunReason = RunReason.NONE) -> Ending:
    return (phase.value, reason.value)


_SUCCEEDED = _ending(RunPhase.SUCCEEDED)
_STOPPED = _ending(RunPhase.STOPPED, RunReason.STOPPED)
PLANS = (
    Plan("succeed", frozenset({_SUCCEEDED}), share=45),
    # Deleted by its time to live, after it has succeeded.
    Plan("expire", frozenset({_SUCCEEDED}), share=15),
    Plan("fail", frozenset({_ending(RunPhase.FAILED, RunReason.ENGINE)}), share=12),
    # Deleted by somebody while it runs.
    Plan("vanish", frozenset({_ending(RunPhase.LOST, RunReason.LOST)}), share=6),
    Plan("hold", frozenset({_STOPPED}), share=12, stop="running"),
    # Its user changes his mind at once: nobody knows how far it got.
    Plan("succeed", frozenset({_STOPPED, _SUCCEEDED}), share=6, stop="at once"),
    Plan(
        "hold",
        frozenset({_ending(RunPhase.FAILED, RunReason.DEADLINE)}),
        share=4,
        deadline_seconds=DEADLINE_SECONDS,
    ),
)


@dataclass
class _Member:
    plan: Plan
    run_id: int
    owner_id: int
    name: str
    stopped: bool = False
    deleted: bool = False
    ending: Ending | None = None
    message: str = ""


class Crowd:
    """Submits so many runs, and lives with them until each has ended and is deleted."""

    def __init__(self, seed: int, count: int) -> None:
        self.count = count
        self.ended = 0
        self._random = random.Random(seed)
        self._plans = [plan for plan in PLANS for _ in range(max(1, round(count * plan.share / 100)))][:count]
        self._plans += [PLANS[0]] * (count - len(self._plans))
        self._random.shuffle(self._plans)
        self.members: dict[int, _Member] = {}

    @property
    def all_submitted(self) -> bool:
        return not self._plans

    def submit(self, count: int, reserve: int) -> None:
        """Submit the next so many runs, while not too many are under way; the last ones only after the others."""
        under_way = len(self.members) - self.ended
        if under_way >= (MOST_UNDER_WAY if len(self._plans) > reserve else FEWEST_UNDER_WAY):
            return
        for _ in range(min(count, len(self._plans))):
            plan, number = self._plans.pop(), len(self.members) + 1
            name = f"chaos-{number}"
            run = run_create(
                owner_kind=OWNER_KIND,
                owner_id=number,
                name=name,
                manifest=_manifest(name, plan.behaviour),
                config_maps={config_map_of(name): {"number": str(number)}},
                deadline_seconds=plan.deadline_seconds,
            )
            if plan.stop == "at once":
                run_stop(run_id=run.pk)
            self.members[run.pk] = _Member(plan, run.pk, number, name, stopped=plan.stop == "at once")

    def look(self) -> int:
        """See how the runs are doing, and do to them what their users do; return how many rows are left."""
        left = 0
        for run in WorkflowRun.objects.order_by("pk"):
            left += 1
            member = self.members[run.pk]
            if run.released_at and member.ending is None:
                member.ending, member.message = (run.phase, run.reason), run.message
                self.ended += 1
            if run.phase == RunPhase.RUNNING and member.plan.stop == "running" and not member.stopped:
                member.stopped = True
                run_stop(run_id=run.pk)
            share = DELETED_PER_LOOK if self.ended < self.count else 1.0
            if member.ending and not member.deleted and self._random.random() < share:
                member.deleted = True
                run_delete(owner_kind=OWNER_KIND, owner_id=member.owner_id)
        return left

    def surprises(self) -> list[str]:
        """Return the runs that did not end as they had to, in words."""
        return [
            f"{member.name} ({member.plan.behaviour}, stop {member.plan.stop or 'never'}):"
            f" {member.ending or 'never ended'} {member.message}"
            for member in self.members.values()
            if member.ending not in member.plan.endings
        ]


def stuck() -> list[str]:
    """Return the runs that are left, with what is known of them."""
    return [
        f"{run.name}: {run.phase} wish at {run.next_try_at} ({(run.next_try_at or timezone.now()) - timezone.now()}),"
        f" tries {run.tries}, claimed by {run.claimed_by!r}, stop {run.stop_requested_at} sent {run.stop_sent_at},"
        f" handed over {run.handed_over_at}, delete {run.delete_requested_at}, {run.message}"
        for run in WorkflowRun.objects.order_by("pk")
    ]


def _manifest(name: str, behaviour: str) -> dict[str, Any]:
    container = {
        "image": "busybox:latest",
        "command": ["true"],
        "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": secret_of(name), "key": "token"}}}],
        "envFrom": [{"configMapRef": {"name": config_map_of(name)}}],
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"annotations": {BEHAVIOUR_ANNOTATION: behaviour}},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "container": container}]},
    }
