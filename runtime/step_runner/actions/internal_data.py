"""A data partner's entry laid out as the workbooks that AI engines read."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from runtime.errors import ActionError
from runtime.step_runner.action import Action, Context

_INTEGER = re.compile(r"[+-]?\d{1,300}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d{1,300}\.\d*|\.\d+)", re.ASCII)
_SHEET_TITLE_REFUSES = re.compile(r"[\[\]:*?/\\]")
_CELL_LIMIT = 32767
ROWS_ABOVE_TITLES = 2

Value = str | bool | int | float | None
Sheets = dict[str, list[list[Value]]]


@dataclass(frozen=True)
class PrepareInternalData(Action):
    """Fetch the data partner's entry and write one workbook for each cancer type."""

    name = "prepare_internal_data"
    information_url: str
    output_path: str

    def run(self, context: Context) -> None:
        """Fetch and write; raise ActionError naming the key that has no definition."""
        lay_out(context.calls.get_json(self.information_url), Path(self.output_path))


def lay_out(entry: object, folder: Path) -> None:
    """Write the workbooks of a data partner's entry into `folder`; nothing is written unless all is sound."""
    source = _object(entry, "the data partner's entry")
    fields = _object(source.get("fields_definition"), "fields_definition")
    titles = {
        key: _sheet_title(title, key)
        for key, title in _object(source.get("sheets_definition"), "sheets_definition").items()
    }
    if len({title.casefold() for title in titles.values()}) != len(titles):
        raise ActionError("sheets_definition gives two sheets the same title")
    patients = source.get("patients")
    if not isinstance(patients, list):
        raise ActionError("patients must be a list")
    for position, patient in enumerate(patients):
        _check_cancer_types(patient, fields, position)
    books = {
        workbook_name(cancer_type): _sheets(cancer_type, sheets, titles, patients)
        for cancer_type, sheets in fields.items()
    }
    if len(books) != len(fields):
        raise ActionError("fields_definition names a cancer type twice")
    folder.mkdir(parents=True, exist_ok=True)
    for name, sheets in books.items():
        _write(folder / name, sheets)


def workbook_name(cancer_type: str) -> str:
    """Return the file name of a cancer type's workbook: `breast_cancer` → `Breast_Cancer.xlsx`."""
    words = cancer_type.removesuffix("_cancer").split("_")
    if not all(re.fullmatch(r"[\w -]+", word) for word in words):
        raise ActionError(f"{cancer_type!r} can't name a workbook")
    return "_".join([word.capitalize() for word in words] + ["Cancer"]) + ".xlsx"


def as_number(value: object) -> object:
    """Return text that reads as an integer or a decimal as that number, anything else as it is."""
    if isinstance(value, str):
        text = value.strip()
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return float(text)
    return value


def _sheets(cancer_type: str, sheets: object, titles: Mapping[str, str], patients: list[Any]) -> Sheets:
    """Return the rows of each sheet by its title; the first row holds the column titles."""
    definition = _object(sheets, f"fields_definition.{cancer_type}")
    for key in definition:
        if key not in titles:
            raise ActionError(f"sheet {key!r} of {cancer_type!r} has no title in sheets_definition")
    found: Sheets = {}
    for key, title in titles.items():
        columns = _object(definition.get(key, {}), f"fields_definition.{cancer_type}.{key}")
        found[title] = [[_checked(column, f"title of {field!r}") for field, column in columns.items()]]
        found[title] += [
            _row_of(item, columns, f"{cancer_type}.{key}") for item in _items(patients, cancer_type, key, definition)
        ]
    return found


def _write(path: Path, sheets: Sheets) -> None:
    book = Workbook(write_only=True)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for _row in range(ROWS_ABOVE_TITLES):
            sheet.append([])
        for row in rows:
            sheet.append([_cell(sheet, value) for value in row])
    book.save(path)


def _items(patients: list[Any], cancer_type: str, key: str, definition: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what the patients have for a sheet, one item a row."""
    for position, patient in enumerate(patients):
        clinical = patient["clinical_data"].get(cancer_type)
        if clinical is None:
            continue
        where = f"patients[{position}].clinical_data.{cancer_type}"
        for found in _object(clinical, where):
            if found not in definition:
                raise ActionError(f"{where}: sheet {found!r} has no definition")
        value = clinical.get(key)
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                yield _object(item, f"{where}.{key}")


def _row_of(item: Mapping[str, Any], columns: Mapping[str, Any], where: str) -> list[Value]:
    for field in item:
        if field not in columns:
            raise ActionError(f"{where}: field {field!r} has no definition")
    return [_checked(as_number(item.get(field)), f"{where}.{field}") for field in columns]


def _checked(value: object, where: str) -> Value:
    """Return what a cell can hold; raise ActionError for anything else."""
    if isinstance(value, str):
        text = ILLEGAL_CHARACTERS_RE.sub("", value)
        if len(text) > _CELL_LIMIT:
            raise ActionError(f"{where}: text longer than a cell holds")
        return text
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ActionError(f"{where}: must be text, a number, true, false or null")


def _cell(sheet: WriteOnlyWorksheet, value: Value) -> Cell | None:
    if value is None:
        return None
    cell = WriteOnlyCell(sheet, value=value)
    if isinstance(value, str):
        # Text that starts with "=" is data here, never a formula.
        cell.data_type = "s"
    return cell


def _check_cancer_types(patient: object, fields: Mapping[str, Any], position: int) -> None:
    where = f"patients[{position}]"
    clinical = _object(_object(patient, where).get("clinical_data"), f"{where}.clinical_data")
    for cancer_type in clinical:
        if cancer_type not in fields:
            raise ActionError(f"{where}.clinical_data: cancer type {cancer_type!r} has no definition")


def _sheet_title(title: object, key: str) -> str:
    if not isinstance(title, str) or not title or _SHEET_TITLE_REFUSES.search(title):
        raise ActionError(f"sheets_definition.{key} isn't a title that a sheet can have")
    return title


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ActionError(f"{where} must be an object")
    return value
