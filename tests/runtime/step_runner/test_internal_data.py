import json
import random
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from runtime.calls import Calls
from runtime.errors import ActionError
from runtime.step_runner.action import Context
from runtime.step_runner.actions.internal_data import PrepareInternalData, as_number, lay_out, workbook_name
from tests.runtime.recording import RecordingServer, json_answer


def _entry(*clinical: Any, **changes: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "system_path": None,
        "fields_definition": {
            "breast_cancer": {"visits": {"age": "Age", "note": "Note"}, "labs": {"ca": "CA 15-3"}},
            "lung_cancer": {"visits": {"smoker": "Smoker"}},
        },
        "sheets_definition": {"visits": "Visits", "labs": "Laboratory"},
        "patients": [{"id": f"00{number}", "clinical_data": data} for number, data in enumerate(clinical)],
    }
    return entry | changes


def _rows(path: Path, sheet: str) -> list[tuple[Any, ...]]:
    book = load_workbook(path)
    return list(book[sheet].iter_rows(values_only=True))


def test_the_entry_is_fetched_and_laid_out(server: RecordingServer, calls: Calls, tmp_path: Path) -> None:
    url = "/api/executions/7/retrieve_data_partner_information/?data_partner=p"
    server.answer("GET", url, json_answer(_entry({"breast_cancer": {"visits": {"age": "61", "note": "x"}}})))

    PrepareInternalData(server.url + url, f"{tmp_path}/deep/data").run(Context(calls))

    assert sorted(path.name for path in (tmp_path / "deep" / "data").iterdir()) == [
        "Breast_Cancer.xlsx",
        "Lung_Cancer.xlsx",
    ]
    assert _rows(tmp_path / "deep" / "data" / "Breast_Cancer.xlsx", "Visits") == [
        (None, None),
        ("Age", "Note"),
        (None, None),
        (61, "x"),
    ]


def test_a_row_for_each_item_of_each_patient(tmp_path: Path) -> None:
    visits = [{"age": 61, "note": None}, {"note": "-2.50"}]
    lay_out(
        _entry(
            {"breast_cancer": {"visits": visits, "labs": None}},
            {"breast_cancer": None, "lung_cancer": {"visits": {"smoker": True}}},
            {"breast_cancer": {"labs": {"ca": "12.0"}}},
            {},
        ),
        tmp_path,
    )

    assert _rows(tmp_path / "Breast_Cancer.xlsx", "Visits")[3:] == [(61, None), (None, -2.5)]
    assert _rows(tmp_path / "Breast_Cancer.xlsx", "Laboratory")[1:] == [("CA 15-3",), (None,), (12,)]
    assert _rows(tmp_path / "Lung_Cancer.xlsx", "Visits")[1:] == [("Smoker",), (None,), (True,)]


def test_text_that_looks_like_a_formula_stays_text(tmp_path: Path) -> None:
    lay_out(_entry({"breast_cancer": {"visits": {"note": "=1+1\x07"}}}), tmp_path)

    cell = load_workbook(tmp_path / "Breast_Cancer.xlsx")["Visits"]["B4"]
    assert (cell.value, cell.data_type) == ("=1+1", "s")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12", 12),
        ("-3", -3),
        (" 7 ", 7),
        ("1.50", 1.5),
        (".5", 0.5),
        ("1e5", "1e5"),
        ("nan", "nan"),
        ("004-000001", "004-000001"),
        ("1_000", "1_000"),
        ("٣", "٣"),
        ("", ""),
        ("9" * 400, "9" * 400),
        (2, 2),
        (None, None),
    ],
)
def test_what_reads_as_a_number_is_one(value: object, expected: object) -> None:
    assert as_number(value) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("breast_cancer", "Breast_Cancer.xlsx"),
        ("colorectal", "Colorectal_Cancer.xlsx"),
        ("small_cell_lung_cancer", "Small_Cell_Lung_Cancer.xlsx"),
    ],
)
def test_the_workbook_is_named_after_the_cancer_type(name: str, expected: str) -> None:
    assert workbook_name(name) == expected


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        (_entry(sheets_definition={"visits": "Visits"}), "'labs' of 'breast_cancer' has no title"),
        (_entry(sheets_definition={"visits": "V", "labs": "v"}), "same title"),
        (_entry(sheets_definition={"visits": "V", "labs": "a/b"}), r"sheets_definition\.labs"),
        (_entry(fields_definition={"../x": {}}), "is not a valid name for a workbook"),
        (_entry(fields_definition=None), "fields_definition must be an object"),
        (_entry({"breast_cancer": {"visits": "61"}}), r"patients\[0\]\.clinical_data\.breast_cancer\.visits"),
        (_entry({"breast_cancer": {"visits": {"age": [1]}}}), r"breast_cancer\.visits\.age"),
        (_entry({"breast_cancer": {"visits": {"note": "x" * 40000}}}), "longer than a cell"),
        (_entry(patients={}), "patients must be a list"),
        (_entry(patients=[{"id": "1"}]), "clinical_data must be an object"),
        ([], "entry must be an object"),
    ],
)
def test_what_has_no_place_is_named_and_nothing_is_written(tmp_path: Path, entry: Any, named: str) -> None:
    with pytest.raises(ActionError, match=named):
        lay_out(entry, tmp_path / "data")

    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("clinical", "named"),
    [
        ({"skin_cancer": {"visits": {}}}, "cancer type 'skin_cancer' has no definition"),
        ({"breast_cancer": {"scans": {"age": 9}}}, "sheet 'scans' of breast_cancer has no definition"),
        ({"breast_cancer": {"visits": {"height": 2}}}, "field 'height' of breast_cancer.visits has no definition"),
    ],
)
def test_keys_without_a_definition_are_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, clinical: Any, named: str
) -> None:
    sound = {"breast_cancer": {"visits": [{"age": 61, "note": "x"}]}}

    lay_out(_entry(sound, clinical, clinical), tmp_path)

    rows = _rows(tmp_path / "Breast_Cancer.xlsx", "Visits")
    assert [row for row in rows[3:] if any(row)] == [(61, "x")]
    assert f"left out 2 times: {named}" in caplog.text


def test_patients_without_clinical_data_have_no_row(tmp_path: Path) -> None:
    lay_out(_entry(None, {"breast_cancer": {"visits": {"age": 1}}}), tmp_path)

    assert _rows(tmp_path / "Breast_Cancer.xlsx", "Visits")[3:] == [(1, None)]


def _table(name: str) -> Any:
    path = Path(__file__).parents[3] / "runtime" / "workbook_layout.json"
    return json.loads(path.read_text())[name]


def _whole_entry(name: str) -> dict[str, Any]:
    """Return an entry with everything that readers of a cancer type know, in any order; each value is its title."""
    sheets = _table(name)
    shuffled = random.Random(0).sample(sheets, len(sheets))
    fields = {
        sheet["sheet"]: {f"key of {title}": title for title in sorted(sheet["columns"], key=len)} for sheet in shuffled
    }
    values = {sheet: dict.fromkeys(columns) | columns for sheet, columns in fields.items()}
    return {
        "fields_definition": {name: fields},
        "sheets_definition": {sheet: sheet for sheet in fields},
        "patients": [{"id": "1", "clinical_data": {name: values}}],
    }


@pytest.mark.parametrize("name", ["breast_cancer", "lung_cancer", "prostate_cancer", "colorectal_cancer"])
def test_sheets_and_columns_stand_where_readers_of_the_field_look_for_them(tmp_path: Path, name: str) -> None:
    lay_out(_whole_entry(name), tmp_path)

    book = load_workbook(tmp_path / workbook_name(name))
    assert book.sheetnames == [sheet["sheet"] for sheet in _table(name)]
    for sheet in _table(name):
        rows = list(book[sheet["sheet"]].iter_rows(values_only=True))
        titles, first = sheet["title_row"] - 1, sheet["first_data_row"] - 1
        assert list(rows[titles]) == sheet["columns"]
        assert list(rows[first]) == sheet["columns"]
        assert [row for row in (*rows[:titles], *rows[titles + 1 : first]) if any(row)] == []


def test_general_info_of_prostate_cancer_has_a_line_more_above(tmp_path: Path) -> None:
    lay_out(_whole_entry("prostate_cancer"), tmp_path)

    sheet = load_workbook(tmp_path / "Prostate_Cancer.xlsx")["General info"]
    assert (sheet["A3"].value, sheet["A5"].value) == ("Patient Number", "Patient Number")
    assert load_workbook(tmp_path / "Prostate_Cancer.xlsx")["Baseline"]["V2"].value == "cT"


def test_columns_that_are_not_defined_keep_their_place(tmp_path: Path) -> None:
    """What readers don't know follows behind all that they know."""
    fields = {"own": "Own column", "sex": "Gender", "first": "Another", "age": "Age at diagnosis"}
    entry = {
        "fields_definition": {"breast_cancer": {"own": {"x": "X", "y": "Y"}, "general": fields}},
        "sheets_definition": {"own": "Own sheet", "labs": "Lab Results", "general": "General  info"},
        "patients": [{"id": "1", "clinical_data": {"breast_cancer": {"general": {key: key for key in fields}}}}],
    }

    lay_out(entry, tmp_path)

    book = load_workbook(tmp_path / "Breast_Cancer.xlsx")
    assert book.sheetnames == ["General  info", "Lab Results", "Own sheet"]
    _, titles, _, data = book["General  info"].iter_rows(values_only=True)
    assert [(place, title) for place, title in enumerate(titles) if title] == [
        (1, "Age at diagnosis"),
        (2, "Gender"),
        (19, "Own column"),
        (20, "Another"),
    ]
    assert [value for value in data if value] == ["age", "sex", "own", "first"]
