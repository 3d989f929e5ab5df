"""What owns runs: each kind of work registers how it prepares, follows and releases its Workflows."""

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
    """What travels with a Workflow beside its manifest: names of Secrets and ConfigMaps to their keys and values.

    `of_installation` are the ConfigMaps that an installation may have made itself (engines.base.Submission).
    """

    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    of_installation: frozenset[str] = frozenset()


class NotReady(Exception):
    """A run cannot be prepared or released now; try again later."""


class CannotPrepare(Exception):
    """A run can never be prepared; it fails with this message."""


class RunOwner(ABC):  # noqa: B024 - every hook has a default
    """A kind of work. Every hook may be called more than once for the same run and must not mind."""

    def prepare(self, run: WorkflowRun) -> Attachments:
        """Make ready what the Workflow needs, before it is submitted; network is allowed, no transaction is open.

        Raises `NotReady` where it should be tried again (with the controller's backoff, until the run's deadline), and
        `CannotPrepare` where that would not help.
        """
        return Attachments()

    def grant(self, run: WorkflowRun) -> Grant:
        """Return what the policy lets this Workflow use beside what it lets every Workflow use; no network here.

        What `prepare` attaches, and the ConfigMaps that the run was created with, are its own anyway.
        """
        return Grant()

    def phase_changed(self, run: WorkflowRun) -> None:
        """React to a run's new phase, inside the transaction that stores it; no network here.

        The run's row is locked: whoever locks a row of the owner's and then the run's may meet a deadlock.
        """

    def message_amended(self, run: WorkflowRun, before: str) -> None:
        """Take note that a failed run's message says more than it did; inside the transaction that stores it."""

    def heeds_failed_steps(self, run: WorkflowRun) -> bool:
        """Return whether `steps_failed` does anything for a run; inside a transaction, no network here."""
        return False

    def steps_failed(self, run: WorkflowRun, abandoned: Sequence[str]) -> None:
        """Do what is to be done when steps of a Workflow have failed while others go on.

        `abandoned` are the pods that go on though they have failed, and that the engine cannot end by themselves. May
        be called more than once for the same failures; no transaction is open. Raises `NotReady` to be called again.
        """

    def waits_for(self, run: WorkflowRun) -> str:
        """Return what a run that does not go on waits for, where its owner knows; no network here."""
        return ""

    def has_succeeded(self, run: WorkflowRun) -> bool | None:
        """Return how the work ended that a run was made for, or None where that is not known.

        Asked when a Workflow is gone whose end nobody saw, inside the transaction that writes it down; no network here.
        """
        return None

    def needs_release(self, run: WorkflowRun) -> bool:
        """Return whether `release` does anything for a run that succeeded; inside a transaction, no network here."""
        return type(self).release is not RunOwner.release

    def release(self, run: WorkflowRun) -> None:
        """Give back what `prepare` took, after nothing of the Workflow runs any more; no transaction is open.

        Called for every run of an owner that has this hook, also where `prepare` never was. Raises `NotReady` to be
        called again later.
        """

    def admin_address(self, owner_id: int) -> str:
        """Return where operators find the owner of a run; empty where there is no such page."""
        return ""


_owners: dict[str, RunOwner] = {}


def register(kind: str, owner: RunOwner) -> None:
    """Register the owner of every run whose `owner_kind` is `kind`; called from an app's `ready`."""
    _owners[kind] = owner


def releases(run: WorkflowRun) -> bool:
    """Return whether the owner of a run does anything at its release. Raises KeyError as `owner_of` does."""
    return owner_of(run).needs_release(run)


def owner_of(run: WorkflowRun) -> RunOwner:
    """Return the owner of a run. Raises KeyError for a kind that no installed app registered."""
    return _owners[run.owner_kind]
