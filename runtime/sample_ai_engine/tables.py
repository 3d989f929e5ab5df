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

Value = str | float | None
WORKBOOKS = "*_Cancer.xlsx"
TITLE_ROW = 3


@dataclass(frozen=True)
class Table:
    """Rows under column titles; numbers are floats, empty cells None."""

    source: str
    titles: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]

    def column(self, title: str) -> list[Value]:
        """Return a column's values; raise UseCaseError when there's no such column."""
        if title not in self.titles:
            raise UseCaseError(f"{self.source} has no column {title!r}")
        index = self.titles.index(title)
        return [row[index] for row in self.rows]


def read_platform_tables(folder: Path) -> list[Table]:
    """Return every sheet of the platform's workbooks: titles in the third row, data from the fourth."""
    files = sorted(folder.glob(WORKBOOKS))
    if not files:
        raise UseCaseError(f"there is no workbook *_Cancer.xlsx in {folder}")
    return [table for file in files for table in _sheets(file, TITLE_ROW)]


def read_inference_tables(folder: Path) -> list[Table]:
    """Return the tables of all CSV files and workbooks below a folder, in the order of their names."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    tables: list[Table] = []
    for file in files:
        if file.suffix.lower() == ".csv":
            tables.append(_read_csv(file, folder))
        elif file.suffix.lower() == ".xlsx":
            tables.extend(_sheets(file, TITLE_ROW if file.match(WORKBOOKS) else None))
    if not tables:
        raise UseCaseError(f"there is neither a CSV file nor a workbook in {folder}")
    return tables


def join(tables: Sequence[Table], title: str, sheet: str = "") -> Table:
    """Return as one table the sheets that have a column, or the one that's asked for.

    Raises UseCaseError when none has it, when they have different columns, or when there are no rows.
    """
    chosen = [table for table in tables if title in table.titles and sheet in ("", table.source.rpartition(":")[2])]
    if not chosen:
        raise UseCaseError(f"no sheet{f' {sheet!r}' if sheet else ''} has a column {title!r}")
    if any(table.titles != chosen[0].titles for table in chosen):
        raise UseCaseError(f"several different sheets have a column {title!r}: choose one with the variable 'sheet'")
    rows = tuple(row for table in chosen for row in table.rows)
    if not rows:
        raise UseCaseError(f"{chosen[0].source} has no rows")
    return Table(chosen[0].source, chosen[0].titles, rows)


def _sheets(file: Path, title_row: int | None) -> Iterator[Table]:
    try:
        book = load_workbook(file, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise UseCaseError(f"{file.name} isn't a readable workbook") from error
    try:
        for sheet in book.worksheets:
            rows = [tuple(row) for row in sheet.iter_rows(values_only=True)]
            filled = [index for index, row in enumerate(rows) if any(value is not None for value in row)]
            start = title_row - 1 if title_row else (filled[0] if filled else 0)
            if start < len(rows):
                yield _table(f"{file.name}:{sheet.title}", rows[start], rows[start + 1 :])
    finally:
        book.close()


def _read_csv(file: Path, folder: Path) -> Table:
    try:
        with file.open(encoding="utf-8-sig", newline="") as source:
            rows: list[list[str]] = list(csv.reader(source))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UseCaseError(f"{file.name} isn't a readable CSV file") from error
    if not rows:
        raise UseCaseError(f"{file.name} is empty")
    return _table(file.relative_to(folder).as_posix(), rows[0], rows[1:])


def _table(source: str, titles: Sequence[object], rows: Iterable[Sequence[object]]) -> Table:
    names = ["" if title is None else str(title).strip() for title in titles]
    kept = [index for index, name in enumerate(names) if name]
    chosen = tuple(names[index] for index in kept)
    if len(set(chosen)) != len(chosen):
        raise UseCaseError(f"{source} has two columns of the same title")
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
