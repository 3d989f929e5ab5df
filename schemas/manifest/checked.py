"""What is asked about a manifest, and what the answer says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policy.faults import ManifestFault
from policy.rules import Policy


@dataclass(frozen=True)
class Question:
    """A manifest to check, with what the orchestrator would provide to it and the policy it is held to.

    `provided` is None where the Schema's document is itself at fault, so that nobody can tell. `refused_by` names the
    functions that say what the engines would not run (`engines.local.refusals`): nothing here knows engines.
    """

    content: bytes
    provided: frozenset[str] | None
    policy: Policy
    refused_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The manifest as data when it has no faults, else its faults in the order of the text."""

    manifest: Mapping[str, Any] | None
    faults: tuple[ManifestFault, ...] = ()
