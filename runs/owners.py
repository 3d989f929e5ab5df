"""Owners of runs: each kind of work registers how it prepares, follows and releases its Workflows."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from policy.rules import Grant

if TYPE_CHECKING:
    from runs.models import WorkflowRun


@dataclass(frozen=True)
class Attachments:
    """What is submitted with a Workflow's manifest: names of Secrets and ConfigMaps to their keys and values.

    `of_installation` are the ConfigMaps that an installation may have created itself (engines.base.Submission).
    """

    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    of_installation: frozenset[str] = frozenset()


class NotReady(Exception):
    """A run cannot be prepared or released now; try again later."""


class CannotPrepare(Exception):
    """A run can never be prepared; it fails with this message."""


class RunOwner(ABC):  # noqa: B024 - every hook has a default
    """A kind of work. Every hook may be called more than once for the same run."""

    def prepare(self, run: WorkflowRun) -> Attachments:
        """Prepare what the Workflow needs before it is submitted; network is allowed, no transaction is open.

        Raises `NotReady` to be tried again (with the controller's backoff, until the run's deadline), and
        `CannotPrepare` if that would not help.
        """
        return Attachments()

    def grant(self, run: WorkflowRun) -> Grant:
        """Return what this Workflow may use beyond what the policy lets every Workflow use; no network here.

        It may always use what `prepare` attaches and the ConfigMaps that the run was created with.
        """
        return Grant()

    def phase_changed(self, run: WorkflowRun) -> None:
        """React to a run's new phase, inside the transaction that stores it; no network here.

        The run's row is locked: code that locks a row of the owner first and then the run's may cause a deadlock.
        """

    def message_amended(self, run: WorkflowRun, before: str) -> None:
        """React to an amended message of a failed run, inside the transaction that stores it."""

    def heeds_failed_steps(self, run: WorkflowRun) -> bool:
        """Return whether `steps_failed` does anything for a run; inside a transaction, no network here."""
        return False

    def steps_failed(self, run: WorkflowRun, abandoned: Sequence[str]) -> None:
        """React to steps of a Workflow that have failed while others still run.

        `abandoned` are pods that have failed and still run, and that the engine cannot end one by one. May be called
        more than once for the same failures; no transaction is open. Raises `NotReady` to be called again.
        """

    def waits_for(self, run: WorkflowRun) -> str:
        """Return what a run waits for, if its owner knows; no network here."""
        return ""

    def has_succeeded(self, run: WorkflowRun) -> bool | None:
        """Return whether the work of a run succeeded, or None if that is not known.

        Called if a Workflow is gone and its end was not seen, inside the transaction that records it; no network here.
        """
        return None

    def needs_release(self, run: WorkflowRun) -> bool:
        """Return whether `release` does anything for a run that succeeded; inside a transaction, no network here."""
        return type(self).release is not RunOwner.release

    def release(self, run: WorkflowRun) -> None:
        """Release what `prepare` took, after the Workflow has ended; no transaction is open.

        Called for every run of an owner that has this hook, even if `prepare` was not called. Raises `NotReady` to
        be called again later.
        """

    def admin_address(self, owner_id: int) -> str:
        """Return the URL of the owner's page in the admin; empty if it has none."""
        return ""


_owners: dict[str, RunOwner] = {}


def register(kind: str, owner: RunOwner) -> None:
    """Register the owner of every run whose `owner_kind` is `kind`; called from an app's `ready`."""
    _owners[kind] = owner


def releases(run: WorkflowRun) -> bool:
    """Return whether the owner of a run has something to release. Raises KeyError as `owner_of` does."""
    return owner_of(run).needs_release(run)


def owner_of(run: WorkflowRun) -> RunOwner:
    """Return the owner of a run. Raises KeyError for a kind that no app has registered."""
    return _owners[run.owner_kind]
