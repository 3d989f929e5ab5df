"""The question about a manifest, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policy.faults import ManifestFault
from policy.rules import Policy


@dataclass(frozen=True)
class Question:
    """A manifest to check, with the parameters that the orchestrator would provide and the policy that applies.

    `provided` is None if the Schema's document has faults, so that the parameters are not known. `refused_by` names the
    functions that return what the engines would not run (`engines.local.refusals`): this package imports no engine.
    """

    content: bytes
    provided: frozenset[str] | None
    policy: Policy
    refused_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The manifest as data if it has no faults, else its faults in the order of the text."""

    manifest: Mapping[str, Any] | None
    faults: tuple[ManifestFault, ...] = ()
