"""Where each kind of work runs. The only place that knows the node labels."""

from __future__ import annotations

from enum import Enum

from templates.parameters import parameter

DATA_PARTNER_LABEL = "dataPartner"


class Placement(Enum):
    """The kinds of node: the platform's own, and the one beside a data partner's data."""

    CENTRAL = "central"
    DATA_PARTNER = "data-partner"


def node_selector(placement: Placement, partner: str = parameter("execution_dataPartner")) -> dict[str, str]:
    """Return the node selector of a template by where it runs; `partner` is the reference to whose data it needs."""
    if placement is Placement.CENTRAL:
        # The key itself is a parameter: each installation labels its central node as it likes.
        return {parameter("platform_centralNodeLabelKey"): parameter("platform_centralNodeLabelValue")}
    return {DATA_PARTNER_LABEL: partner}
