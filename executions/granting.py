"""What an execution's Workflow may use beside what every Workflow may: its partners, its AI engines, what we add."""

from __future__ import annotations

from collections.abc import Iterable

from engines.base import MANAGED_BY, MANAGED_BY_LABEL
from executions.rendering import EXECUTION_LABEL, MODEL_SIZE_ANNOTATION, Rendering, callback_secret_name
from policy.conf import partner_roots
from policy.rules import Grant


def workflow_grant(*, execution_id: int, partners: Iterable[str], engines: Iterable[str], is_federated: bool) -> Grant:
    """Return the grant of an execution's Workflow; `engines` are the container names that the registry told."""
    return Grant(
        partners={partner: partner_roots(partner) for partner in partners},
        engines=frozenset(engines),
        labels={MANAGED_BY_LABEL: MANAGED_BY, EXECUTION_LABEL: str(execution_id)},
        annotations=frozenset([MODEL_SIZE_ANNOTATION] if is_federated else []),
    )


def attached_names(rendering: Rendering) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the Secrets and of the ConfigMaps that will travel with a rendered Workflow."""
    return frozenset([callback_secret_name(rendering.name)]), frozenset(rendering.config_maps)
