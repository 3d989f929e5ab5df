"""Write a data partner's entry as the workbooks that AI engines read (contracts/step-actions.md)."""

import logging
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from runtime.errors import ActionError
from runtime.step_runner.action import Action, Context
from runtime.workbook_layout import SheetLayout, sheet_layout

_INTEGER = re.compile(r"[+-]?\d{1,300}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d{1,300}\.\d*|\.\d+)", re.ASCII)
_SHEET_TITLE_REFUSES = re.compile(r"[\[\]:*?/\\]")
_CELL_LIMIT = 32767
_ROW_LIMIT = 2**20

Value = str | bool | int | float | None
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sheet:
    """One sheet to write; each row has a value, or None, for every column up to its last."""

    title: str
    layout: SheetLayout
    titles: list[Value]
    rows: list[list[Value]]


@dataclass(frozen=True)
class PrepareInternalData(Action):
    """Fetch the data partner's entry and write one workbook for each cancer type."""

    name = "prepare_internal_data"
    information_url: str
    output_path: str

    def run(self, context: Context) -> None:
        """Fetch and write; raise ActionError naming a value that a workbook cannot hold."""
        lay_out(context.calls.get_json(self.information_url), Path(self.output_path))


def lay_out(entry: object, folder: Path) -> None:
    """Write the workbooks of a data partner's entry into `folder`; nothing is written unless everything is valid.

    Values without a definition are left out and logged; patients without clinical data have no row.
    """
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
    undefined: Counter[str] = Counter()
    clinical = [_clinical_data(patient, fields, position, undefined) for position, patient in enumerate(patients)]
    books = {
        workbook_name(cancer_type): _sheets(cancer_type, sheets, titles, clinical, undefined)
        for cancer_type, sheets in fields.items()
    }
    if len(books) != len(fields):
        raise ActionError("fields_definition names a cancer type twice")
    for what, count in undefined.items():
        log.warning("left out %d times: %s has no definition", count, what)
    folder.mkdir(parents=True, exist_ok=True)
    for name, sheets in books.items():
        _write(folder / name, sheets)


def workbook_name(cancer_type: str) -> str:
    """Return the file name of a cancer type's workbook: `breast_cancer` → `Breast_Cancer.xlsx`."""
    words = cancer_type.removesuffix("_cancer").split("_")
    if not all(re.fullmatch(r"[\w -]+", word) for word in words):
        raise ActionError(f"{cancer_type!r} is not a valid name for a workbook")
    return "_".join([word.capitalize() for word in words] + ["Cancer"]) + ".xlsx"


def as_number(value: object) -> object:
    """Return a text of an integer or a decimal as that number, any other value unchanged."""
    if isinstance(value, str):
        text = value.strip()
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return float(text)
    return value


def _sheets(
    cancer_type: str, sheets: object, titles: Mapping[str, str], clinical: Sequence[Any], undefined: Counter[str]
) -> list[Sheet]:
    """Return the sheets of a cancer type's workbook: in the readers' order, others after them."""
    definition = _object(sheets, f"fields_definition.{cancer_type}")
    for key in definition:
        if key not in titles:
            raise ActionError(f"sheet {key!r} of {cancer_type!r} has no title in sheets_definition")
    items = _items(cancer_type, clinical, definition, undefined)
    found: list[Sheet] = []
    for key, title in titles.items():
        columns = _object(definition.get(key, {}), f"fields_definition.{cancer_type}.{key}")
        where = f"{cancer_type}.{key}"
        named = {field: _checked(column, f"title of {field!r}") for field, column in columns.items()}
        layout = sheet_layout(cancer_type, title)
        places = _places(named, layout)
        for item in items.get(key, ()):
            undefined.update(f"field {field!r} of {where}" for field in item if field not in columns)
        rows = [_row(places, {field: _cell_of(item, field, where) for field in columns}) for item in items.get(key, ())]
        if len(rows) > _ROW_LIMIT - layout.first_data_row:
            raise ActionError(f"sheet {title!r} would have {len(rows)} rows of data, more than a sheet can hold")
        found.append(Sheet(title, layout, _row(places, named), rows))
    return sorted(found, key=lambda sheet: (sheet.layout.position is None, sheet.layout.position or 0))


def _places(titles: Mapping[str, Value], layout: SheetLayout) -> dict[str, int]:
    """Return the column of each field: the readers' column for its title, else one after all known columns."""
    places: dict[str, int] = {}
    others: list[str] = []
    for field, title in titles.items():
        known = layout.column(str(title))
        if known is None or known in places.values():
            others.append(field)
        else:
            places[field] = known
    return places | {field: layout.width + number for number, field in enumerate(others)}


def _row(places: Mapping[str, int], values: Mapping[str, Value]) -> list[Value]:
    row: list[Value] = [None] * (max(places.values(), default=-1) + 1)
    for field, place in places.items():
        row[place] = values[field]
    return row


def _write(path: Path, sheets: Sequence[Sheet]) -> None:
    book = Workbook(write_only=True)
    for each in sheets:
        sheet = book.create_sheet(each.title)
        # The rows above and below the titles are for group headings and types; readers skip both.
        above, below = each.layout.title_row - 1, each.layout.first_data_row - each.layout.title_row - 1
        for row in [*[[]] * above, each.titles, *[[]] * below, *each.rows]:
            sheet.append([_cell(sheet, value) for value in row])
    book.save(path)


def _items(
    cancer_type: str, clinical: Sequence[Any], definition: Mapping[str, Any], undefined: Counter[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the patients' items for each sheet, one item a row."""
    found: dict[str, list[dict[str, Any]]] = {key: [] for key in definition}
    for position, data in enumerate(clinical):
        if (sheets := data.get(cancer_type)) is None:
            continue
        where = f"patients[{position}].clinical_data.{cancer_type}"
        for key, value in _object(sheets, where).items():
            if key not in definition:
                undefined[f"sheet {key!r} of {cancer_type}"] += 1
                continue
            for item in value if isinstance(value, list) else [value]:
                if item is not None:
                    found[key].append(_object(item, f"{where}.{key}"))
    return found


def _cell_of(item: Mapping[str, Any], field: str, where: str) -> Value:
    return _checked(as_number(item.get(field)), f"{where}.{field}")


def _checked(value: object, where: str) -> Value:
    """Return a value that a cell can hold; raise ActionError for any other."""
    if isinstance(value, str):
        text = ILLEGAL_CHARACTERS_RE.sub("", value)
        if len(text) > _CELL_LIMIT:
            raise ActionError(f"{where}: the text is longer than a cell can hold")
        return text
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ActionError(f"{where}: must be a string, a number, true, false or null")


def _cell(sheet: WriteOnlyWorksheet, value: Value) -> Cell | None:
    if value is None:
        return None
    cell = WriteOnlyCell(sheet, value=value)
    if isinstance(value, str):
        # Text that starts with "=" is data here, never a formula.
        cell.data_type = "s"
    return cell


def _clinical_data(
    patient: object, fields: Mapping[str, Any], position: int, undefined: Counter[str]
) -> dict[str, Any]:
    where = f"patients[{position}]"
    found = _object(patient, where).get("clinical_data", ...)
    if found is None:
        return {}
    data = _object(found, f"{where}.clinical_data")
    undefined.update(f"cancer type {cancer_type!r}" for cancer_type in data if cancer_type not in fields)
    return data


def _sheet_title(title: object, key: str) -> str:
    if not isinstance(title, str) or not title or _SHEET_TITLE_REFUSES.search(title):
        raise ActionError(f"sheets_definition.{key} is not a valid title of a sheet")
    return title


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ActionError(f"{where} must be an object")
    return value
