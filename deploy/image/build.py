"""Builds the four images with docker, podman or buildah: `build.py [--base BASE] [--registry REGISTRY] [IMAGE…]`.

In a build, pip uses the settings that it has on this machine: those of its files and of the environment, and the
certificate authorities that they name. They are mounted while packages are installed, and are in no image.
"""

from __future__ import annotations

import argparse
import configparser
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
# image (and target in the Dockerfile) -> the version that manifests name.
VERSIONS: Mapping[str, str] = {
    "orchestrator": "0.1.0",
    "processor-resource-manager": "2.0.0",
    "federated-learning-manager": "2.0.0",
    "sample-ai-engine": "1.0.0",
}
# builder -> a command that succeeds if it can build; docker's client alone cannot.
BUILDERS: Mapping[str, Sequence[str]] = {
    "docker": ("docker", "info"),
    "podman": ("podman", "info"),
    "buildah": ("buildah", "info"),
}
# Only docker's format has a HEALTHCHECK, and buildah keeps layers when asked.
OWN_OPTIONS: Mapping[str, Sequence[str]] = {
    "podman": ("--format", "docker"),
    "buildah": ("--format", "docker", "--layers"),
}
# The settings of pip that a build needs; folders of this machine do not exist there.
SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "retries")
AUTHORITIES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_CERTIFICATES = "/run/secrets/certificates"


class NoBuilder(Exception):
    """No program on this machine can build images; the text is one line that names those that could."""


def main(argv: Sequence[str]) -> int:
    """Build the named images, or all; return an exit code."""
    parser = argparse.ArgumentParser(description="Build the project's images.")
    parser.add_argument(
        "--builder", default="", help="the builder, with options of its own (`podman --root /srv/images`)"
    )
    parser.add_argument("--base", default="", help="another base than the Dockerfile's")
    parser.add_argument("--registry", default="", help="the registry that the images are named after")
    parser.add_argument("--options", default="", help="options of the builder's `build`")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"one of {', '.join(VERSIONS)}; all")
    arguments = parser.parse_args(argv)
    if unknown := sorted(set(arguments.images) - set(VERSIONS)):
        parser.error(f"unknown: {', '.join(unknown)}")
    try:
        builder = shlex.split(arguments.builder) or [found_builder()]
    except NoBuilder as error:
        print(f"make image: {error}", file=sys.stderr)
        return 1
    options = [*shlex.split(arguments.options), *(["--build-arg", f"BASE={arguments.base}"] if arguments.base else [])]
    with tempfile.TemporaryDirectory() as folder:
        options += [*mounted(Path(folder), os.environ), *OWN_OPTIONS.get(Path(builder[0]).name, ())]
        for image in arguments.images or VERSIONS:
            name = tag(image, arguments.registry)
            print(f"{image} as {name}, by {Path(builder[0]).name}", flush=True)
            command = [*builder, "build", *options, "--target", image, "-t", name, str(PROJECT)]
            code = subprocess.run(command, check=False, env={**os.environ, "DOCKER_BUILDKIT": "1"}).returncode
            if code:
                return code
    return 0


def tag(image: str, registry: str) -> str:
    """Return the name of an image in a registry."""
    return "/".join(filter(None, (registry.rstrip("/"), f"{image}:{VERSIONS[image]}")))


def found_builder() -> str:
    """Return the first builder that can build on this machine. Raises NoBuilder."""
    for name, question in BUILDERS.items():
        if shutil.which(name) and subprocess.run(question, capture_output=True, check=False).returncode == 0:
            return name
    raise NoBuilder(
        "no program here can build images: start docker's daemon, install podman or buildah, or name one (BUILDER=…)"
    )


def mounted(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Write what pip needs into a folder, and return the builder's options that mount it."""
    settings = pip_settings(environment)
    authorities = [environment.get(name, "") for name in AUTHORITIES] + [settings.pop("cert", "")]
    options = [
        part for name in PROXIES if name in environment for part in ("--build-arg", f"{name}={environment[name]}")
    ]
    if found := next((path for path in authorities if path and Path(path).is_file()), ""):
        settings["cert"] = _CERTIFICATES
        options += ["--secret", f"id=certificates,src={found}"]
    if settings:
        config = configparser.RawConfigParser()
        config["global"] = settings
        with (folder / "pip.conf").open("w") as file:
            config.write(file)
        options += ["--secret", f"id=pip.conf,src={folder / 'pip.conf'}"]
    return options


def pip_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return pip's settings for its index, from its files and the environment; a later one in pip's own order wins.

    https://pip.pypa.io/en/stable/topics/configuration/
    """
    home = Path(environment.get("HOME") or "/nonexistent")
    own = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    files = [
        Path("/etc/pip.conf"),
        home / ".pip/pip.conf",
        own / "pip/pip.conf",
        Path(environment.get("PIP_CONFIG_FILE", "")),
    ]
    config = configparser.RawConfigParser()
    config.read([path for path in files if path.is_file()])
    found: dict[str, str] = {}
    for section in ("global", "install"):
        found |= config[section] if config.has_section(section) else {}
    for name, value in environment.items():
        if name.startswith("PIP_"):
            found[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return {name: value for name, value in found.items() if name in {*SETTINGS, "cert"}}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
