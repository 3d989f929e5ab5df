"""What an execution's Workflow may use beyond what every Workflow may: data partners, AI engines, our additions."""

from __future__ import annotations

from collections.abc import Iterable

from engines.base import FEDERATED_ANNOTATION, MANAGED_BY, MANAGED_BY_LABEL
from executions import conf
from executions.rendering import EXECUTION_LABEL, Rendering, callback_secret_name
from policy.conf import partner_roots
from policy.rules import Grant


def workflow_grant(*, execution_id: int, partners: Iterable[str], engines: Iterable[str], is_federated: bool) -> Grant:
    """Return the grant of an execution's Workflow; `engines` are container names from the model registry."""
    partners, claims = list(partners), conf.partner_claims()
    return Grant(
        partners={partner: partner_roots(partner) for partner in partners},
        volume_claims=frozenset(claim for partner in partners for claim in claims.get(partner, {}).values()),
        engines=frozenset(engines),
        labels={MANAGED_BY_LABEL: MANAGED_BY, EXECUTION_LABEL: str(execution_id)},
        annotations=frozenset([FEDERATED_ANNOTATION] if is_federated else []),
    )


def attached_names(rendering: Rendering) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the Secrets and of the ConfigMaps that are submitted with a rendered Workflow."""
    return frozenset([callback_secret_name(rendering.name)]), frozenset(rendering.config_maps)
