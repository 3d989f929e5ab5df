"""Where each kind of work runs. Only this module uses the labels of cluster nodes."""

from __future__ import annotations

from enum import Enum

from templates.parameters import parameter

DATA_PARTNER_LABEL = "dataPartner"


class Placement(Enum):
    """The kinds of cluster nodes: the central node, and those of a data partner."""

    CENTRAL = "central"
    DATA_PARTNER = "data-partner"


def node_selector(placement: Placement, partner: str = parameter("execution_dataPartner")) -> dict[str, str]:
    """Return the node selector of a template; `partner` is the reference to the data partner's name."""
    if placement is Placement.CENTRAL:
        # The label's key is itself a parameter: each installation chooses the label of its central node.
        return {parameter("platform_centralNodeLabelKey"): parameter("platform_centralNodeLabelValue")}
    return {DATA_PARTNER_LABEL: partner}
