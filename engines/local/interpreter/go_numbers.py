"""Numbers as Go computes and as its `fmt` writes them: https://pkg.go.dev/math, https://pkg.go.dev/fmt."""

from __future__ import annotations

import math

_LARGE = 1e21


def divided(left: float, right: float) -> float:
    """Return a floating-point quotient: a divisor of 0 gives an infinity or not a number."""
    if right:
        return left / right
    return math.nan if not left or math.isnan(left) else math.copysign(math.inf, left)


def power(left: float, right: float) -> float:
    """Return a power, infinite where it is too large, and NaN where it is not defined."""
    try:
        return math.pow(left, right)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan


def number_text(value: float, smallest: float = 1e-4) -> str:
    """Return a number as text; below `smallest`, and from 10²¹ on, with an exponent."""
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0 or smallest <= abs(value) < _LARGE:
        whole = f"{value:.0f}"
        return whole if float(whole) == value else _plain(value)
    mantissa, _, exponent = f"{value!r}".partition("e")
    if not exponent:
        digits = f"{value:e}"
        mantissa, _, exponent = digits.partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{exponent[0] if exponent[0] in '+-' else '+'}{int(exponent.lstrip('+-')):02d}"


def _plain(value: float) -> str:
    """Return a number without an exponent, with the fewest digits that identify it."""
    text = repr(value)
    if "e" not in text:
        return text
    mantissa, _, exponent = text.partition("e")
    digits = len(mantissa.partition(".")[2]) - int(exponent)
    return f"{value:.{max(digits, 0)}f}"
