"""Check a whole manifest against the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policy.faults import ManifestFault
from policy.forms import Check
from policy.outline import Outline
from policy.rules import Grant, Policy
from policy.tables import WORKFLOW


@dataclass(frozen=True)
class Verdict:
    """What a policy says of a manifest. `images` are the images that it would run, as far as they are known."""

    faults: tuple[ManifestFault, ...]
    images: tuple[str, ...]


def judge_unrendered(manifest: Mapping[str, Any], outline: Outline, policy: Policy) -> Verdict:
    """Return the faults of a manifest whose parameters are still open."""
    return _judged(Check(manifest, outline, policy, Grant(), is_rendered=False))


def judge(manifest: Mapping[str, Any], policy: Policy, grant: Grant) -> Verdict:
    """Return the faults of a Workflow that is ready to be submitted."""
    outline = Outline(manifest, frozenset())
    return _judged(Check(manifest, outline, policy, grant, is_rendered=True))


def _judged(check: Check) -> Verdict:
    WORKFLOW.check(check.document, "", check)
    return Verdict(tuple(check.faults), tuple(check.images))
