"""Regular expressions with Argo's syntax (https://github.com/google/re2/wiki/Syntax).

RE2 takes time linear in the text; a pattern for Python's own engine can be made to run for
years.
"""

from __future__ import annotations

import functools
from typing import Any

MAX_PATTERN = 1000
_MAX_MEMORY = 8 << 20


class InvalidPattern(Exception):
    """A text that is not a regular expression, or too large."""


@functools.lru_cache(maxsize=128)
def pattern_of(text: str) -> Any:
    """Return a compiled pattern with RE2's methods, which are those of `re.Pattern`. Raises `InvalidPattern`."""
    import re2  # noqa: PLC0415 - few Workflows have one

    if len(text) > MAX_PATTERN:
        raise InvalidPattern(f"a pattern has more than {MAX_PATTERN} characters")
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        raise InvalidPattern(f"'{text}' is not a regular expression: {error}") from error
