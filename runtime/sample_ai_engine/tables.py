"""Tables of patients: the platform's workbooks, and the files of an inference."""

import csv
import math
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from runtime.sample_ai_engine.errors import UseCaseError
from runtime.workbook_layout import SheetLayout, sheet_layout

Value = str | float | None
WORKBOOKS = "*_Cancer.xlsx"
# An earlier layout had titles in this row, and data right below them.
EARLIER_TITLE_ROW = 3
Rows = Sequence[Sequence[object]]


@dataclass(frozen=True)
class Table:
    """Rows under column titles; numbers are floats, empty cells None."""

    source: str
    titles: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]

    def column(self, title: str) -> list[Value]:
        """Return a column's values; raise UseCaseError when it does not exist."""
        if title not in self.titles:
            raise UseCaseError(f"{self.source} has no column {title!r}")
        index = self.titles.index(title)
        return [row[index] for row in self.rows]


def read_platform_tables(folder: Path) -> list[Table]:
    """Return every sheet of the platform's workbooks, which may have an earlier layout."""
    files = sorted(folder.glob(WORKBOOKS))
    if not files:
        raise UseCaseError(f"there is no workbook *_Cancer.xlsx in {folder}")
    return [table for file in files for table in _sheets(file, is_platforms=True)]


def read_inference_tables(folder: Path) -> list[Table]:
    """Return the tables of all CSV files and workbooks below a folder, in the order of their names."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    tables: list[Table] = []
    for file in files:
        if file.suffix.lower() == ".csv":
            tables.append(_read_csv(file, folder))
        elif file.suffix.lower() == ".xlsx":
            tables.extend(_sheets(file, is_platforms=file.match(WORKBOOKS)))
    if not tables:
        raise UseCaseError(f"there is neither a CSV file nor a workbook in {folder}")
    return tables


def join(tables: Sequence[Table], title: str, sheet: str = "") -> Table:
    """Return as one table the sheets that have a column, or the requested one.

    Raises UseCaseError when none has it, when they have different columns, or when there are no rows.
    """
    chosen = [table for table in tables if title in table.titles and sheet in ("", table.source.rpartition(":")[2])]
    if not chosen:
        raise UseCaseError(f"there is no sheet{f' {sheet!r}' if sheet else ''} with a column {title!r}")
    if any(table.titles != chosen[0].titles for table in chosen):
        raise UseCaseError(f"several different sheets have a column {title!r}: choose one with the variable 'sheet'")
    rows = tuple(row for table in chosen for row in table.rows)
    if not rows:
        raise UseCaseError(f"{chosen[0].source} has no rows")
    return Table(chosen[0].source, chosen[0].titles, rows)


def _sheets(file: Path, *, is_platforms: bool) -> Iterator[Table]:
    try:
        book = load_workbook(file, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise UseCaseError(f"{file.name} is not a readable workbook") from error
    try:
        for sheet in book.worksheets:
            rows = [tuple(row) for row in sheet.iter_rows(values_only=True)]
            if is_platforms:
                titles, first = _platforms_rows(rows, sheet_layout(file.stem, sheet.title))
            else:
                titles = next((index for index, row in enumerate(rows) if _is_filled(row)), 0)
                first = titles + 1
            if titles < len(rows):
                yield _table(f"{file.name}:{sheet.title}", rows[titles], rows[first:])
    finally:
        book.close()


def _platforms_rows(rows: Rows, layout: SheetLayout) -> tuple[int, int]:
    """Return the row of a sheet's titles and the first row of its data, both counted from 0."""
    titles, first = layout.title_row - 1, layout.first_data_row - 1
    earlier = EARLIER_TITLE_ROW - 1
    if titles < earlier:
        is_earlier = not _is_filled(_row(rows, titles)) and _is_filled(_row(rows, earlier))
    else:
        # Titles are in the same row in both layouts: they differ by the titles' columns, or by data right below them.
        places = {str(title): place for place, title in enumerate(_row(rows, titles)) if title is not None}
        is_moved = any(layout.column(title) not in (place, None) for title, place in places.items())
        is_earlier = is_moved or any(isinstance(value, int | float) for value in _row(rows, titles + 1))
    return (earlier, earlier + 1) if is_earlier else (titles, first)


def _row(rows: Rows, index: int) -> Sequence[object]:
    return rows[index] if index < len(rows) else ()


def _is_filled(row: Sequence[object]) -> bool:
    return any(value is not None for value in row)


def _read_csv(file: Path, folder: Path) -> Table:
    try:
        with file.open(encoding="utf-8-sig", newline="") as source:
            rows: list[list[str]] = list(csv.reader(source))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UseCaseError(f"{file.name} is not a readable CSV file") from error
    if not rows:
        raise UseCaseError(f"{file.name} is empty")
    return _table(file.relative_to(folder).as_posix(), rows[0], rows[1:])


def _table(source: str, titles: Sequence[object], rows: Iterable[Sequence[object]]) -> Table:
    names = ["" if title is None else str(title).strip() for title in titles]
    kept = [index for index, name in enumerate(names) if name]
    chosen = tuple(names[index] for index in kept)
    if len(set(chosen)) != len(chosen):
        raise UseCaseError(f"{source} has two columns with the same title")
    values = (tuple(_value(row[index] if index < len(row) else None) for index in kept) for row in rows)
    return Table(source, chosen, tuple(row for row in values if any(value is not None for value in row)))


def _value(value: object) -> Value:
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return text or None
    return number if math.isfinite(number) else text
