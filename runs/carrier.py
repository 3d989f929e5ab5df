"""Carries out one wish of one run at its engine; no transaction is open while the engine or the owner is called."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.dateparse import parse_datetime

from engines.base import (
    Engine,
    EngineUnavailable,
    ManifestRejected,
    StopStrategy,
    Submission,
    WorkflowConflict,
    WorkflowNotFound,
    WorkflowPhase,
    WorkflowStatus,
)
from runs import outbox, services
from runs.endings import run_wound_up
from runs.gate import ManifestRefused, admitted
from runs.models import RunCause, RunPhase, WorkflowRun
from runs.owners import CannotPrepare, NotReady, owner_of
from runs.tending import tend
from runs.transitions import Wish, due_wish

logger = logging.getLogger(__name__)

# The largest difference between the clocks of the engine and of this machine.
CLOCK_SKEW = timedelta(seconds=30)

WOUND_UP = "Stopped because the execution that the run belongs to had ended."

Outcome = Callable[[], object]


@dataclass(frozen=True)
class _EarlierTry:
    """What an earlier try to submit a run led to: its Workflow's status, the last known one where it is gone."""

    status: WorkflowStatus
    is_gone: bool = False


class Carrier:
    """Carries out wishes at one engine, under the name of a controller and with its clock."""

    def __init__(self, engine: Engine, claimed_by: str, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._claimed_by = claimed_by
        self._clock = clock

    def carry(self, run_id: int) -> None:
        """Carry out the wish of a claimed run, record the result, and give the claim back."""
        run = WorkflowRun.objects.select_related("document").filter(pk=run_id, claimed_by=self._claimed_by).first()
        if run is None:
            return
        due = due_wish(run)
        if due is None or due.due_at > self._clock():
            outbox.give_back(claimed_by=self._claimed_by, run_id=run_id)
            return
        outcome = self._attempt(run, due.wish)
        try:
            with transaction.atomic():
                outcome()
                outbox.give_back(claimed_by=self._claimed_by, run_id=run_id)
        except WorkflowRun.DoesNotExist:
            logger.info("Run %s was deleted while an action at its engine was carried out.", run.name)

    def _attempt(self, run: WorkflowRun, wish: Wish) -> Outcome:
        try:
            return self._carry_out(run, wish)
        except (EngineUnavailable, NotReady) as error:
            logger.warning("Run %s: %s is tried again: %s", run.name, wish, error)
            message = str(error) or type(error).__name__
        except Exception as error:
            # A fault in our code or an owner's: it may be mended while the run waits, and must not stop other runs.
            logger.exception("Run %s: %s failed", run.name, wish)
            message = f"{type(error).__name__}: {error}"
        return lambda: outbox.postpone(run_id=run.pk, wish=wish, message=message, now=self._clock())

    def _carry_out(self, run: WorkflowRun, wish: Wish) -> Outcome:
        match wish:
            case Wish.SUBMIT:
                return self._submit(run)
            case Wish.TEND | Wish.WIND_UP:
                return self._look_after(run, wish)
            case Wish.STOP:
                return self._stop(run, StopStrategy.STOP)
            case Wish.TERMINATE:
                return self._stop(run, StopStrategy.TERMINATE)
            case Wish.RELEASE:
                run_wound_up(run, self._engine, self._clock())
                owner_of(run).release(run)
                return lambda: services.run_released(run_id=run.pk, now=self._clock())
            case Wish.DELETE:
                return self._delete(run)

    def _submit(self, run: WorkflowRun) -> Outcome:
        if (known := self._earlier_try(run)) is not None:
            return lambda: self._found_again(run, known)
        try:
            attachments = owner_of(run).prepare(run)
            if not self._still_wanted(run):
                return lambda: None
            submission = Submission(
                name=run.name,
                manifest=run.manifest,
                config_maps={**run.config_maps, **attachments.config_maps},
                secrets=attachments.secrets,
                of_installation=attachments.of_installation,
            )
            images = admitted(submission, self._engine, owner_of(run).grant(run))
            status = self._engine.submit(submission)
        except (ManifestRefused, ManifestRejected, WorkflowConflict, CannotPrepare) as error:
            message = _end_of(run, error)
            return lambda: services.run_fail(run_id=run.pk, message=message, now=self._clock())
        return lambda: self._submitted(run, status, images)

    def _submitted(self, run: WorkflowRun, status: WorkflowStatus, images: Mapping[str, str]) -> None:
        services.run_images_noted(run_id=run.pk, images=images, now=self._clock())
        self._observe(run, status)

    def _observe(self, run: WorkflowRun, status: WorkflowStatus) -> None:
        services.run_observe(run_id=run.pk, status=status, cause=RunCause.CONTROLLER, now=self._clock())

    def _found_again(self, run: WorkflowRun, earlier: _EarlierTry) -> None:
        self._observe(run, earlier.status)
        if earlier.is_gone:
            services.run_vanish(run_id=run.pk, cause=RunCause.CONTROLLER, now=self._clock())

    def _earlier_try(self, run: WorkflowRun) -> _EarlierTry | None:
        """Return what is known of a Workflow that an earlier try submitted, even if it was deleted before it was seen.

        If it were submitted again, it could do its work twice: a Workflow that began may end and expire at any moment.
        """
        assert run.handed_over_at is not None
        assert run.claimed_until is not None
        is_first_try = run.tries == 0 and run.claimed_until <= run.handed_over_at + outbox.LEASE
        if is_first_try:
            return None
        try:
            found = self._engine.get(run.name)
        except WorkflowNotFound:
            last_known = self._engine.last_known(run.name)
        else:
            # A Workflow that has not begun is submitted again: the earlier submission may be incomplete.
            has_begun = found.phase is not WorkflowPhase.PENDING
            return _EarlierTry(found) if has_begun and found.digest == run.manifest_digest else None
        if last_known is None:
            return None
        # The uid is not known. What ended, or only began, before this run was created is another one of the same name.
        told_at = parse_datetime(last_known.finished_at or last_known.started_at or "")
        is_ours = told_at is not None and told_at > run.created_at - CLOCK_SKEW
        return _EarlierTry(last_known, is_gone=True) if is_ours else None

    def _still_wanted(self, run: WorkflowRun) -> bool:
        # Preparing may take long; a run that was stopped in the meantime must not start.
        wanted = WorkflowRun.objects.filter(
            pk=run.pk, phase=RunPhase.QUEUED, stop_requested_at=None, delete_requested_at=None
        )
        return wanted.exists()

    def _look_after(self, run: WorkflowRun, wish: Wish) -> Outcome:
        if wish is Wish.WIND_UP:
            cause = RunCause.CONTROLLER
            return lambda: services.run_stop(run_id=run.pk, cause=cause, message=WOUND_UP, now=self._clock())
        tend(run, self._engine)
        return lambda: services.run_tended(run_id=run.pk, now=self._clock())

    def _stop(self, run: WorkflowRun, strategy: StopStrategy) -> Outcome:
        try:
            self._engine.stop(run.name, strategy)
        except WorkflowNotFound:
            return lambda: services.run_vanish(run_id=run.pk, cause=RunCause.CONTROLLER, now=self._clock())
        terminate = strategy is StopStrategy.TERMINATE
        return lambda: services.run_stop_sent(run_id=run.pk, terminate=terminate, now=self._clock())

    def _delete(self, run: WorkflowRun) -> Outcome:
        if run.handed_over_at:
            self._engine.delete(run.name)
        if not run.released_at:
            owner_of(run).release(run)
        return lambda: services.run_deleted(run_id=run.pk)


def _end_of(run: WorkflowRun, error: Exception) -> str:
    """Return why a run can never be submitted."""
    match error:
        case ManifestRefused():
            return f"The policy for manifests refuses the Workflow: {error}"
        case ManifestRejected(pointer=pointer) if pointer:
            return f"{pointer}: {error}"
        case WorkflowConflict():
            return str(error) or f"Another Workflow already has the name {run.name}."
    return str(error)
