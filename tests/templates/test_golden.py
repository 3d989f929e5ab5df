"""What the builders build is what is committed; `make golden` writes it anew."""

import json

import pytest
import yaml

from templates.build import DEFINITIONS, golden_files, write
from templates.shipped import MANIFESTS, shipped_schemas

NAMES = [definition.name for definition in DEFINITIONS]


@pytest.mark.parametrize("definition", DEFINITIONS, ids=NAMES)
def test_build_equals_the_golden_files(definition):
    for name, text in golden_files(definition).items():
        assert (MANIFESTS / name).read_text() == text, f"{name} differs: run `make golden` and read the diff"


def test_nothing_is_left_of_schemas_that_are_no_longer_shipped():
    assert {path.stem for path in MANIFESTS.iterdir()} == set(NAMES)


def test_write_removes_what_is_no_longer_shipped(tmp_path):
    (tmp_path / "of-yesterday.yaml").write_text("")
    (tmp_path / "README").write_text("")

    write(tmp_path)

    assert not (tmp_path / "of-yesterday.yaml").exists()
    assert (tmp_path / "README").exists()
    assert len(list(tmp_path.iterdir())) == 2 * len(NAMES) + 1


def test_shipped_schemas_are_read_from_the_golden_files():
    shipped = {schema.name: schema for schema in shipped_schemas()}

    assert set(shipped) == set(NAMES)
    for schema in shipped.values():
        assert yaml.safe_load(schema.manifest_yaml)["metadata"]["generateName"] == f"{schema.name}-"


def test_individual_schemas_have_the_names_of_the_captured_flows():
    captured = json.loads((MANIFESTS.parent.parent / "tests/fixtures/captures/workflow-parameters.json").read_text())

    missing = {name for name in captured if name != "common" and "federated" not in name} - set(NAMES)

    assert not missing
