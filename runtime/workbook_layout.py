"""The positions of sheets and columns in the platform's workbooks (contracts/workbook-layout.json).

Readers find titles by their positions. `workbook_layout.json` has those of the known cancer types: its
columns are in their order, the first one is column A.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("workbook_layout.json")
TITLE_ROW, FIRST_DATA_ROW = 2, 4


@dataclass(frozen=True)
class SheetLayout:
    """One sheet: rows are counted from 1, columns from 0 and found by `plain` titles.

    Above the titles are group headings, or nothing; between titles and data is a line that readers skip.
    """

    title_row: int = TITLE_ROW
    first_data_row: int = FIRST_DATA_ROW
    position: int | None = None
    """Its position among the sheets; None after the known ones."""
    columns: Mapping[str, int] | None = None

    def column(self, title: str) -> int | None:
        """Return the position of a title, None where readers do not know it."""
        return (self.columns or {}).get(plain(title))

    @property
    def width(self) -> int:
        """Return the number of columns that readers know."""
        return len(self.columns or {})


UNKNOWN = SheetLayout()


def sheet_layout(cancer_type: str, title: str) -> SheetLayout:
    """Return the layout of a sheet; the layout of unknown sheets for any other."""
    name = f"{cancer_type.casefold().removesuffix('_cancer')}_cancer"
    return _layouts().get(name, {}).get(plain(title), UNKNOWN)


def plain(title: str) -> str:
    """Return a title with normalised spaces. `CT` and `cT` are two columns."""
    return " ".join(title.split())


@cache
def _layouts() -> dict[str, dict[str, SheetLayout]]:
    table = json.loads(_TABLE.read_text(encoding="utf-8"))
    return {
        cancer_type: {
            plain(sheet["sheet"]): SheetLayout(
                title_row=sheet["title_row"],
                first_data_row=sheet["first_data_row"],
                position=position,
                columns={plain(title): column for column, title in enumerate(sheet["columns"])},
            )
            for position, sheet in enumerate(sheets)
        }
        for cancer_type, sheets in table.items()
    }
