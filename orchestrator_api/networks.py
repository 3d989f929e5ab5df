"""Addresses, and ranges of them that settings name. No Django."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Networks = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]

LOOPBACK = ("127.0.0.0/8", "::1/128")


def address_of(text: str) -> Address | None:
    """Return an address, an IPv4 one also where it is mapped into IPv6; None for anything else."""
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_in(address: Address | None, networks: Networks) -> bool:
    """Return whether an address lies in one of the ranges."""
    return address is not None and any(address in network for network in networks)
