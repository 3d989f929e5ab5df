"""The name of a controller, and whether another controller is still alive.

A controller on the same machine sees at once that another has died (see web.lives) and takes over its claims. On
other machines the lease of the claims must run out first.
"""

from __future__ import annotations

from web import lives

_CONTROLLERS = "controllers"


class Identity(lives.Life):
    """A controller's name, held until `close` or the end of the process."""

    def __init__(self) -> None:
        super().__init__(_CONTROLLERS)


def is_dead(name: str) -> bool:
    """Return whether the controller of this name is known to have died, on this machine."""
    return lives.is_dead(_CONTROLLERS, name)


def is_any_alive() -> bool:
    """Return whether a controller is alive on this machine."""
    return lives.is_any_alive(_CONTROLLERS)


def forget(name: str) -> None:
    """Remove what a dead controller left behind."""
    lives.forget(_CONTROLLERS, name)
