"""The builder of the images: what it finds, what it tells pip, and how it names what it builds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.image.build import VERSIONS, mounted, pip_settings, tag
from tests.deploy.conftest import PROJECT

BUILD = PROJECT / "deploy" / "image" / "build.py"


def test_a_machine_without_a_builder_is_told_so_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(BUILD)], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert "BUILDER=" in done.stderr


def test_an_unknown_image_is_refused() -> None:
    done = subprocess.run([sys.executable, str(BUILD), "other"], capture_output=True, text=True, check=False)

    assert (done.returncode, "unknown: other" in done.stderr) == (2, True)


def test_the_images_are_the_dockerfiles_targets_and_versions() -> None:
    text = (PROJECT / "Dockerfile").read_text()
    named = dict(re.findall(r"^#   docker build .*-t REGISTRY/([-a-z]+):([0-9.]+) \.$", text, re.MULTILINE))

    assert named == dict(VERSIONS)
    assert set(VERSIONS) <= set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("registry", "name"), [("", "orchestrator:0.1.0"), ("r.example/", "r.example/orchestrator:0.1.0")]
)
def test_an_image_is_named_after_its_registry(registry: str, name: str) -> None:
    assert tag("orchestrator", registry) == name


def test_pip_gets_its_own_settings_in_its_own_order_and_no_others(tmp_path: Path) -> None:
    given = tmp_path / "pip.conf"
    given.write_text(
        "[global]\nindex-url = https://one.example\ntimeout = 5\nfind-links = /srv\n[install]\ntimeout = 6\n"
    )
    environment = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(given), "PIP_INDEX_URL": "https://two.example"}

    found = pip_settings({**environment, "PIP_NO_CACHE_DIR": "1"})

    assert (found["index-url"], found["timeout"]) == ("https://two.example", "6")
    assert not {"find-links", "no-cache-dir"} & found.keys()


def test_certificates_and_proxies_reach_the_build_and_settings_are_secrets(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    environment = {
        "HOME": "/nonexistent",
        "SSL_CERT_FILE": str(authority),
        "HTTPS_PROXY": "http://p.example",
        "PIP_RETRIES": "2",
    }

    options = mounted(tmp_path, environment)

    assert "HTTPS_PROXY=http://p.example" in options
    assert f"id=certificates,src={authority}" in options
    assert f"id=pip.conf,src={tmp_path / 'pip.conf'}" in options
    assert "cert = /run/secrets/certificates" in (tmp_path / "pip.conf").read_text()
