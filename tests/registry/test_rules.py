from decimal import Decimal

import pytest

from registry.rules import data_digest, quantity


def test_the_digest_does_not_depend_on_order():
    assert data_digest({"a": ["1", "2"], "b": ["3"]}) == data_digest({"b": ["3"], "a": ["2", "1"]})


def test_the_digest_depends_on_who_has_which_patient():
    assert data_digest({"a": ["1"], "b": ["2"]}) != data_digest({"a": ["2"], "b": ["1"]})
    assert data_digest({"a": ["1", "2"]}) != data_digest({"a": ["1,2"]})


@pytest.mark.parametrize(
    ("resource", "text", "value"),
    [
        ("cpu", "250m", "0.25"),
        ("cpu", "4", "4"),
        ("memory", "1Ki", "1024"),
        ("memory", "1k", "1000"),
        ("memory", "0.5Gi", str(2**29)),
    ],
)
def test_quantities_as_kubernetes_reads_them(resource, text, value):
    assert quantity(resource, text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "1 Gi", "1Q", "-1", "1Gi\n", "Gi", "1iG", "250m", "\u0661Gi"])
def test_what_is_no_quantity_of_memory(text):
    with pytest.raises(ValueError, match=r".*"):
        quantity("memory", text)


def test_memory_is_no_quantity_of_cpu():
    with pytest.raises(ValueError, match="1Gi"):
        quantity("cpu", "1Gi")
