"""What is installed: every package at one version, each file by its hash, and a list of it all for whoever asks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.conftest import PROJECT

# Of the three images that Workflows ask for.
PODS = ("processor-resource-manager", "federated-learning-manager", "sample-ai-engine")
LISTS = ("requirements.txt", "requirements-demo.txt", *(f"deploy/image/{name}.txt" for name in PODS))
# lock -> what it is made of.
SOURCES = {
    "requirements.lock": LISTS,
    "requirements-dev.lock": (*LISTS, "requirements-dev.txt"),
    "deploy/image/orchestrator.lock": ("requirements.txt",),
    **{f"deploy/image/{name}.lock": (f"deploy/image/{name}.txt",) for name in PODS},
}
LOCKS = tuple(SOURCES)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")
PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[\w,]+\])?==(\S+)")
TIMEOUT_SECONDS = 120


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(name: str) -> dict[str, str]:
    """Return the version of each package that a file names."""
    lines = (PROJECT / name).read_text().splitlines()
    return {normalised(found[1]): found[2] for line in lines if (found := PIN.match(line))}


def locked(name: str) -> dict[str, tuple[str, set[str]]]:
    """Return the version and the hashes of each package of a lock file."""
    found: dict[str, tuple[str, set[str]]] = {}
    for entry in re.split(r"\n(?=\S)", (PROJECT / name).read_text()):
        if pin := PIN.match(entry):
            found[normalised(pin[1])] = (pin[2], set(HASH.findall(entry)))
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_each_package_has_hashes_and_the_version_that_was_tested(name: str) -> None:
    tested = pins("constraints.txt")

    for package, (version, hashes) in locked(name).items():
        assert (version, bool(hashes)) == (tested[package], True), package


@pytest.mark.parametrize(("name", "sources"), SOURCES.items())
def test_what_is_asked_for_is_locked(name: str, sources: tuple[str, ...]) -> None:
    versions = {package: version for package, (version, _) in locked(name).items()}

    for source in sources:
        assert pins(source).items() <= versions.items(), f"`make lock` brings {name} up to date"


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_says_nothing_of_where_files_come_from(name: str) -> None:
    text = (PROJECT / name).read_text()

    assert not re.search(r"://|--index-url|--extra-index-url|--find-links|--trusted-host", text)


def test_all_that_installs_takes_locked_files_alone() -> None:
    makefile, dockerfile = ((PROJECT / name).read_text().replace("\\\n", " ") for name in ("Makefile", "Dockerfile"))
    (line,) = [line for line in makefile.splitlines() if re.search(r"pip\b.* install", line)]
    assert {"--require-hashes", "--only-binary :all:"} <= {*re.findall(r"--require-hashes|--only-binary :all:", line)}

    stages = re.findall(
        r"^FROM build AS (\S+)-files\nCOPY (\S+) /tmp/packages.lock\nRUN (.*)$", dockerfile, re.MULTILINE
    )
    assert {name: lock for name, lock, _ in stages} == {
        name: f"deploy/image/{name}.lock" for name in ("orchestrator", *PODS)
    }
    assert all(run.endswith(" python /tmp/install.py /tmp/packages.lock") for *_, run in stages)
    assert "pip" not in re.sub(r"pip\.conf", "", re.sub(r"^#.*$", "", dockerfile, flags=re.MULTILINE))


def test_an_image_is_given_locked_files_alone(tmp_path: Path) -> None:
    """The program that installs an image's packages refuses one whose hash is not in the lock."""
    (tmp_path / "lock").write_text("six==1.17.0\n")
    program = PROJECT / "deploy" / "image" / "install.py"
    started = (
        f"import pathlib, runpy; main = runpy.run_path({str(program)!r})['main'];"
        f"main.__globals__['PLACE'] = pathlib.Path({str(tmp_path / 'venv')!r}); main({str(tmp_path / 'lock')!r})"
    )
    made = subprocess.run(
        [sys.executable, "-c", started], env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PIP_NO_INDEX": "1"},
        capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS,
    )  # fmt: skip

    assert made.returncode != 0
    assert "hash" in made.stderr.lower()


def test_the_list_of_what_the_image_holds_names_each_package_with_version_and_hashes(tmp_path: Path) -> None:
    programs = os.path.relpath(Path(sys.executable).parent, PROJECT)
    made = subprocess.run(
        # What is installed is not this test's to change.
        ["make", "-o", ".venv/.installed", "sbom", f"BIN={programs}", f"BUILD={tmp_path}"],
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    sbom = json.loads((tmp_path / "sbom.json").read_text())

    found = {
        normalised(component["name"]): (
            component["version"],
            {each["content"] for source in component["externalReferences"] for each in source.get("hashes", [])},
        )
        for component in sbom["components"]
    }
    assert sbom["bomFormat"] == "CycloneDX"
    assert sbom["metadata"]["component"]["name"] == "orchestrator"
    assert found == locked("requirements.lock")


def test_what_is_built_is_not_kept() -> None:
    assert "build/" in (PROJECT / ".gitignore").read_text().splitlines()


def test_the_base_image_is_named_by_its_digest() -> None:
    text = (PROJECT / "Dockerfile").read_text()
    (base,) = re.findall(r"^ARG BASE=(\S+)$", text, re.MULTILINE)

    assert re.fullmatch(r"docker\.io/library/python:3\.11\.\d+-slim@sha256:[0-9a-f]{64}", base)
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE))
    assert {name for name in re.findall(r"^FROM (\S+)", text, re.MULTILINE) if name not in stages} == {"${BASE}"}
