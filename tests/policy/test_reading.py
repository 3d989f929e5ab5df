"""YAML as it comes in: hostile, broken, or just unusual."""

import pytest

from policy import reading
from policy.faults import Place, Unreadable
from policy.reading import read


def fault_of(text):
    with pytest.raises(Unreadable) as caught:
        read(text.encode() if isinstance(text, str) else text)
    return caught.value.fault


def bomb(levels=9, width=10):
    lines = ['a0: &a0 "boom"'] + [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]" for level in range(1, levels)
    ]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", "is empty"),
        ("# nothing but a comment\n", "is empty"),
        ("- a\n- b\n", "must be one Workflow, not a list"),
        ("just text", "must be one Workflow, not a single value"),
        ("null", "must be one Workflow, not a single value"),
        ("a: 1\n---\nb: 2\n", "several documents"),
        ("a: 1\na: 2\n", "has the key 'a' twice"),
        ("a: {b: 1, b: 2}\n", "has the key 'b' twice"),
        ("a:\n\t- b\n", "is not YAML"),
        ("a: [1, 2\n", "is not YAML"),
        ("a: 'b\n", "is not YAML"),
        ("a: *nowhere\n", "is not YAML"),
        ("a: !!python/object/apply:os.system [ls]\n", "tag that is not allowed"),
        ("a: !!python/name:os.system\n", "tag that is not allowed"),
        ("a: !!binary aGk=\n", "tag that is not allowed"),
        ("a: !!set {b}\n", "tag that is not allowed"),
        ("a: .nan\n", "is a number that JSON does not know"),
        ("a: -.inf\n", "is a number that JSON does not know"),
        ("a: 1.0e+999\n", "is a number that JSON does not know"),
        ("1: a\n", "has a key that is not a string"),
        ("yes: a\n", "has a key that is not a string"),
        ("? [a, b]\n: c\n", "has a key that is not a string"),
        ('a: "\\0"\n', "holds a NUL"),
        ("<<: [1]\n", "merges something that is not a mapping"),
        ("[" * 1000, "is nested deeper than 64 levels"),
        ("{a: " * 1000, "is nested deeper than 64 levels"),
        ("a: &a [*a]\n", "is nested deeper than 64 levels by its aliases"),
        ("a: &a {b: *a}\n", "is nested deeper than 64 levels by its aliases"),
        (bomb(), "expands to more than 50000 values by its aliases"),
        ("a: [" + "1," * 200_000 + "]", "holds more than 50000 values"),
        (b"\xff\xfe", "is not UTF-8"),
        ("a: \x01\n", ""),
        (b"x" * (reading.MAX_BYTES + 1), "is larger than"),
    ],
)
def test_what_cannot_be_taken_is_named(text, detail):
    assert detail in fault_of(text).detail


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: 1\nb:\n\t- c\n", Place(3, 1)),
        ("a:\n  b: 1\n  b: 2\n", Place(3, 3)),
        ("a: 1\nb: !!binary x\n", Place(2, 4)),
        ("a: 1\n---\nb: 2\n", Place(2, 1)),
    ],
)
def test_a_fault_names_line_and_column(text, place):
    assert fault_of(text).place == place


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 8001:8001", "8001:8001"),
        ("a: 12:30", "12:30"),
        ("a: 2026-11-21", "2026-11-21"),
        ("a: 2026-11-21T09:00:00Z", "2026-11-21T09:00:00Z"),
        ("a: yes", True),
        ("a: 0x1F", 31),
        ("a: 1.5", 1.5),
        ("a:", None),
        ("a: ~", None),
        ("a: =", "="),
        ("a: 'true'", "true"),
        ("a: |\n  x\n  y\n", "x\ny\n"),
        ("\ufeffa: 1", 1),
        ("a: 1e3", 1000),
        ("a: 1.0", 1),
        ("a: 1.", 1),
        ("a: -.5e1", -5),
        ("a: 1.5e-3", 0.0015),
        ("a: 1e20", 100_000_000_000_000_000_000),
        ("a: 1e21", 1e21),
        ("a: 1_000", 1000),
        ("a: 1_000.5", 1000.5),
        ("a: 010", 8),
        ("a: 0o14", 12),
        ("a: 08", 8),
        ("a: 0b11", 3),
        ("a: -0x1F", -31),
        ("a: +7", 7),
        ("a: 18446744073709551615", 18446744073709551615),
        ("a: 123456789012345678901", 123456789012345680000),
        ("a: y", "y"),
        ("a: N", "N"),
        ("a: ON", True),
        ("a: off", False),
        ("a: NULL", None),
        ("a: yEs", "yEs"),
        ("a: 1e", "1e"),
        ("a: 0x", "0x"),
        ("a: 1.2.3", "1.2.3"),
        ("a: '1e3'", "1e3"),
        ("a: !!str 08", "08"),
        ("a: !!str", ""),
        ("a: !!int '3'", 3),
        ("a: !!float 3", 3),
        ("a: <<", "<<"),
    ],
)
def test_values_are_read_as_kubernetes_reads_them(text, value):
    read_value = read(text.encode()).value["a"]

    assert read_value == value
    assert type(read_value) is type(value)


@pytest.mark.parametrize("text", ["a: !!int x", "a: !!bool 3", "a: !!null x", "a: !!float yes"])
def test_a_value_that_is_not_of_its_tag_is_refused(text):
    assert "is not of the YAML type " in fault_of(text).detail


@pytest.mark.parametrize("text", ["a: 0x1FFFFFFFFFFFFFFFFF", "a: 0x" + "F" * 10_000, "a: 0b" + "1" * 65])
def test_a_number_that_no_json_reader_takes_is_refused(text):
    assert "is a number that JSON does not know" in fault_of(text).detail


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\n---\n",
        "---\na: 1\n---",
        "---\n---\na: 1\n",
        "# first\n---\n# then\na: 1\n---\n# and a word at the end\n",
        "a: 1\n...\n---\n...\n",
        "%YAML 1.1\n---\na: 1\n...\n",
        "a: 1\r\n---\r\n",
    ],
)
def test_a_document_that_holds_nothing_is_none(text):
    assert read(text.encode()).value == {"a": 1}


@pytest.mark.parametrize(
    ("text", "detail"),
    [("---\n---\n", "is empty"), ("a: 1\n--- ''\n", "several documents"), ("a: 1\n--- ~\n", "several documents")],
)
def test_what_is_written_in_a_document_counts(text, detail):
    assert detail in fault_of(text).detail


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_says_how_a_text_is_written(encoding):
    assert read("a: größe 🫀\n".encode(encoding)).value == {"a": "größe 🫀"}


def test_half_a_text_of_utf_16_is_refused():
    assert fault_of("a: 1".encode("utf-16") + b"\x00\xd8").detail == "is not UTF-16"
    assert fault_of("a: 1".encode("utf-16")[:-1]).detail == "is not UTF-8"


def test_coordinates_and_names_of_one_letter_are_text():
    assert read(b"{x: 1, y: 2, name: n}").value == {"x": 1, "y": 2, "name": "n"}


def test_aliases_and_merge_keys_are_followed():
    text = "base: &base {x: 1, y: 2}\nother: *base\nmerged: {<<: *base, y: 3}\nmany: {<<: [*base, {z: 4, x: 9}]}\n"

    value = read(text.encode()).value

    assert value["other"] == {"x": 1, "y": 2}
    assert value["merged"] == {"x": 1, "y": 3}
    assert value["many"] == {"x": 1, "y": 2, "z": 4}


def test_places_are_those_of_keys_and_items():
    document = read(b"a:\n  b/c:\n  - 1\n  - x: 2\n")

    assert document.place("/a/b~1c") == Place(2, 3)
    assert document.place("/a/b~1c/1/x") == Place(4, 5)


def test_what_is_missing_has_the_place_of_what_is_around_it():
    assert read(b"a:\n  b: 1\n").place("/a/nothing/at/all") == Place(1, 1)


@pytest.mark.parametrize(
    "text", ["a: 1\n---\n", "---\na: 1\n---\n# nothing\n", "---\n# nothing\n---\na: 1\n...\n---\n"]
)
def test_documents_with_nothing_in_them_are_passed_over(text):
    assert read(text.encode()).value == {"a": 1}


def test_a_file_of_separators_is_empty():
    assert fault_of("---\n---\n").detail == "is empty"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e3", 1000), ("1.0", 1), ("1E+2", 100), ("12e03", 12000), ("-1e-3", -0.001), (".5", 0.5),
        ("1.", 1), ("1.5", 1.5),
        ("010", 8), ("'1e3'", "1e3"), ("e3", "e3"), ("1e", "1e"), ("n", "n"), ("1.2.3", "1.2.3"), ("1e25", 1e25),
    ],
)  # fmt: skip
def test_numbers_are_those_of_kubernetes(text, value):
    found = read(f"a: {text}\n".encode()).value["a"]

    assert (found, type(found)) == (value, type(value))
