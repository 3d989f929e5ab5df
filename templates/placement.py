"""The node of each kind of step; only this module has the node labels."""

from __future__ import annotations

from enum import Enum

from templates.parameters import parameter

DATA_PARTNER_LABEL = "dataPartner"


class Placement(Enum):
    """The kinds of node: the platform's own, and the one beside a data partner's data."""

    CENTRAL = "central"
    DATA_PARTNER = "data-partner"


def node_selector(placement: Placement, partner: str = parameter("execution_dataPartner")) -> dict[str, str]:
    """Return the node selector of a template by its kind of node; `partner` refers to the data partner of its data."""
    if placement is Placement.CENTRAL:
        # The key itself is a parameter: each installation chooses the label of its central node.
        return {parameter("platform_centralNodeLabelKey"): parameter("platform_centralNodeLabelValue")}
    return {DATA_PARTNER_LABEL: partner}
