"""Sheets of the platform's workbooks, in the layout of the field and in the earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from runtime.sample_ai_engine.tables import Table, read_inference_tables, read_platform_tables

NOTHING: tuple[Any, ...] = ()
TITLES, ROWS = ("Patient Number", "Age at diagnosis", "Diagnosis"), [("p1", 61, "benign"), ("p2", 62, "malignant")]
PROSTATE = ("Patient Number", "Age at diagnosis", "Ethnicity")
TYPES = ("text", "number", "one of two")


def write(folder: Path, *rows: Sequence[Any], name: str = "Breast", sheet: str = "General info") -> None:
    book = Workbook()
    page = book.active
    assert page is not None
    page.title = sheet
    for number, row in enumerate(rows, 1):
        for column, value in enumerate(row, 1):
            page.cell(number, column, value)
    folder.mkdir(exist_ok=True)
    book.save(folder / f"{name}_Cancer.xlsx")


def read(folder: Path) -> Table:
    (table,) = read_platform_tables(folder)
    assert read_inference_tables(folder)[0].rows == table.rows
    return table


@pytest.mark.parametrize(
    "above",
    [
        [NOTHING, TITLES, NOTHING],
        [("Demography", None, "Outcome"), TITLES, TYPES],
        [NOTHING, NOTHING, TITLES],
    ],
    ids=["ours", "with headings and types", "earlier"],
)
@pytest.mark.parametrize("sheet", ["General info", "Sheet of our own"])
def test_titles_and_data_are_found_in_each_layout(tmp_path: Path, above: Any, sheet: str) -> None:
    write(tmp_path, *above, *ROWS, sheet=sheet)

    table = read(tmp_path)

    assert (table.titles, table.rows) == (TITLES, (("p1", 61.0, "benign"), ("p2", 62.0, "malignant")))


@pytest.mark.parametrize(
    "above",
    [
        [NOTHING, NOTHING, PROSTATE, NOTHING],
        [NOTHING, ("Demography",), PROSTATE, TYPES],
        [NOTHING, NOTHING, PROSTATE],
    ],
    ids=["ours", "with headings and types", "earlier"],
)
def test_the_one_sheet_with_a_line_more_above_is_read(tmp_path: Path, above: Any) -> None:
    rows = [("p1", 61, "x"), ("p2", 62, "y")]
    write(tmp_path, *above, *rows, name="Prostate")

    table = read(tmp_path)

    assert (table.titles, table.rows) == (PROSTATE, (("p1", 61.0, "x"), ("p2", 62.0, "y")))


def test_the_earlier_layout_of_that_sheet_is_told_by_its_columns(tmp_path: Path) -> None:
    titles = ("Ethnicity", "Patient Number")
    write(tmp_path, NOTHING, NOTHING, titles, ("x", "p1"), ("y", "p2"), name="Prostate")

    assert read(tmp_path).rows == (("x", "p1"), ("y", "p2"))


def test_columns_between_which_others_are_missing_are_read(tmp_path: Path) -> None:
    write(tmp_path, NOTHING, (None, "Age at diagnosis", None, "Diagnosis"), NOTHING, (None, 61, None, "benign"))

    assert read(tmp_path).titles == ("Age at diagnosis", "Diagnosis")
