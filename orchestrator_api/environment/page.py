"""Rewrite the tables of docs/reference/configuration.md from the table in code: `make configuration`.

The text between the tables is the page's own. A table stands between `<!-- settings: TITLE -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator_api.environment.table import BY_FIELD_NAME, SECTIONS, Section, Variable

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "configuration.md"
FIELD_NAMES = "names of other installations"
_TABLE = re.compile(r"(<!-- settings: ([^\n]*) -->\n).*?(<!-- end -->)", re.DOTALL)


def page(text: str) -> str:
    """Return the page with its tables rewritten. Raises KeyError for a table that the code does not have."""
    tables = {section.title: _rows(section) for section in SECTIONS} | {FIELD_NAMES: _field_names()}
    return _TABLE.sub(lambda found: "".join([found[1], *(f"{row}\n" for row in tables[found[2]]), found[3]]), text)


def _rows(section: Section) -> Iterator[str]:
    yield "| variable | values | default | meaning |"
    yield "|---|---|---|---|"
    for variable in section.variables:
        cells = (_names(variable), variable.form.expected, said_default(variable), _meaning(variable))
        yield f"| {' | '.join(cells)} |"


def _field_names() -> Iterator[str]:
    yield "| name | the same as |"
    yield "|---|---|"
    for name, variable in BY_FIELD_NAME.items():
        yield f"| `{name}` | `{variable.name}` |"


def _names(variable: Variable) -> str:
    return f"`{variable.name}`" + (f", `{variable.field_name}`" if variable.field_name else "")


def _meaning(variable: Variable) -> str:
    return f"{variable.meaning}; logged at the start: {variable.notice}" if variable.notice else variable.meaning


def said_default(variable: Variable) -> str:
    """Return a default as the page shows it."""
    return variable.default_says or _said(variable.default)


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, list):
        value = ",".join(value)
    return f"`{value}`" if value or isinstance(value, dict) else "empty"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
