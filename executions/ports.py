"""Host ports for AI engines.

Manifests in the field run with `hostNetwork`, so that two AI engines of one node share its ports: each gets two of
its own out of the range that nothing is registered in (RFC 6335, section 6).
"""

from __future__ import annotations

import random

from executions.facts import EnginePorts

FIRST_PORT = 49152
LAST_PORT = 65535

_random = random.SystemRandom()


def choose_ports(number_engines: int) -> tuple[EnginePorts, ...]:
    """Draw two ports for each AI engine, all distinct within the execution."""
    drawn = iter(_random.sample(range(FIRST_PORT, LAST_PORT + 1), 2 * number_engines))
    return tuple(EnginePorts(callback=callback, api=api) for callback, api in zip(drawn, drawn, strict=True))
