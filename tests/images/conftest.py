"""What the suite of the images shares: the four images, built for real, and a service made of their containers.

Where nothing is installed that builds and runs images, all of it fails and says what to install.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import pytest
import requests

from deploy.image.build import VERSIONS, tag
from engines.base import Submission
from engines.local import LocalEngine
from engines.recording import RecordingEngine
from tests.images.outside import HANDED
from tests.images.podman import BUILD_SECONDS, CACHE, Podman, PodmanMissing
from tests.images.pods import ORDER
from usage_scripts.demo_day import DATA_PARTNERS, Api

PROJECT = Path(__file__).resolve().parents[2]
REGISTRY = "localhost"
BASE = "localhost/orchestrator-base:bookworm"
SHELLS = ("/usr/bin/dash", "/usr/bin/bash")
# As deploy/kubernetes/ has its containers.
RESTRICTED = ("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges")
START_SECONDS = 120


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    try:
        return Podman(tmp_path_factory.mktemp("podman"))
    except PodmanMissing as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
def base(podman: Podman) -> str:
    """Give the base image: IMAGES_BASE, or one of Debian's packages, which is kept."""
    if given := os.environ.get("IMAGES_BASE"):
        return given
    if podman.call("image", "exists", BASE, check=False).returncode:
        made = subprocess.run(
            [str(PROJECT / "deploy" / "image" / "debian-base"), BASE, *podman.command],
            env={**os.environ, **podman.environment, "DEBIAN_BASE_CACHE": str(CACHE)},
            capture_output=True, text=True, check=False, timeout=BUILD_SECONDS,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
    return BASE


@pytest.fixture(scope="session")
def images(podman: Podman, base: str) -> Mapping[str, str]:
    """Build the four images as `make image` does, or use the built ones (IMAGES_BUILT); give their names, by target."""
    # What builds may differ from what runs: in its own containers it needs no rights of this machine's runtime.
    options = "--isolation chroot --network host"
    if os.environ.get("IMAGES_BUILT"):
        return {image: tag(image, REGISTRY) for image in VERSIONS}
    built = subprocess.run(
        ["make", "image", f"PYTHON={sys.executable}", f"BUILDER={' '.join(podman.command)}", f"BASE={base}",
         f"REGISTRY={REGISTRY}", f"BUILD_OPTIONS={options}"],
        cwd=PROJECT, env={**os.environ, **podman.environment},
        capture_output=True, text=True, check=False, timeout=BUILD_SECONDS,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    return {image: tag(image, REGISTRY) for image in VERSIONS}


@pytest.fixture(scope="session")
def shell_less(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Give the options with which a container has no shell."""
    nothing = tmp_path_factory.mktemp("nothing") / "nothing"
    nothing.touch(mode=0o444)
    return [
        part
        for shell in SHELLS
        for part in ("--mount", f"type=bind,source={nothing},destination={shell},readonly=true")
    ]


@dataclass(frozen=True)
class Service:
    """The service's containers, by name, and its API."""

    api: Api
    containers: Mapping[str, str]
    exchange: Path
    network: str


@pytest.fixture(scope="session")
def service(
    podman: Podman, images: Mapping[str, str], shell_less: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Start an API and a controller on one volume, prepared as deploy/kubernetes/prepare.yaml does, without a shell."""
    exchange = tmp_path_factory.mktemp("exchange")
    exchange.chmod(0o777)
    suite = tmp_path_factory.mktemp("suite")
    for name in ("outside.py", "settings_of_the_suite.py"):
        (suite / name).write_text((PROJECT / "tests" / "images" / name).read_text())
        (suite / name).chmod(0o644)
    for folder in (exchange, suite):
        folder.chmod(0o777)
    name = f"suite-{os.getpid()}"
    podman.call("network", "create", name)
    (network,) = json.loads(podman.call("network", "inspect", name).stdout)
    subnet = ip_network(network["subnets"][0]["subnet"])
    address = str(subnet[200])
    settings = {
        "SECRET_KEY": "only for this suite, and long enough to be taken for one in production",
        "ALLOWED_HOSTS": address,
        "ORCHESTRATOR_API_HOSTNAME": f"{address}:8900",
        "IMAGE_REGISTRY": REGISTRY,
        "PLAIN_HTTP_FROM": str(subnet),
        "DJANGO_SETTINGS_MODULE": "settings_of_the_suite",
        "PYTHONPATH": "/app:/suite",
    }
    common = [
        *RESTRICTED, *shell_less, "--network", name, "--volume", f"{name}:/data", "--volume", f"{suite}:/suite:ro",
        "--volume", f"{exchange}:/exchange",
    ]  # fmt: skip
    containers = {program: f"{name}-{program}" for program in ("api", "controller")}
    try:
        tokens = _prepared(podman, images["orchestrator"], [*common, *_variables(settings)])
        settings["MAAS_API_TOKEN"] = tokens["registry"]
        own = {"api": ["--ip", address], "controller": []}
        for program, container in containers.items():
            podman.call(
                "run", "--detach", "--name", container, *own[program], *common, *_variables(settings),
                images["orchestrator"], program,
            )  # fmt: skip
        url = f"http://{address}:8900"
        _wait_until_ready(podman, url, containers["api"])
        yield Service(Api(url, tokens["admin"]), containers, exchange, name)
    finally:
        for container in containers.values():
            print(podman.call("logs", "--tail", "50", container, check=False).stderr)
        podman.remove(list(containers.values()))
        podman.call("volume", "rm", "--force", name, check=False)
        podman.call("network", "rm", "--force", name, check=False)


def _prepared(podman: Podman, image: str, options: list[str]) -> dict[str, str]:
    """Prepare the service, and return its tokens."""
    files = {name: f"/data/{name}" for name in ("admin", "registry")}
    podman.call(
        "run", "--rm", *options, image, "prepare",
        *(part for name, path in files.items() for part in (f"--{name}-token", path)),
    )  # fmt: skip
    program = "import sys; print(open(sys.argv[1]).read().strip())"
    return {
        name: podman.call("run", "--rm", *options, "--entrypoint", "python", image, "-c", program, path).stdout.strip()
        for name, path in files.items()
    }


def _variables(settings: Mapping[str, str]) -> list[str]:
    return [part for item in settings.items() for part in ("--env", "=".join(item))]


def _wait_until_ready(podman: Podman, url: str, container: str) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up_at:
        try:
            if requests.get(f"{url}/health/ready", timeout=5).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.2)
    raise AssertionError(podman.call("logs", container, check=False).stderr[-3000:])


class Cluster:
    """Runs the Workflows that a service hands out, each pod by podman, with further options of `podman run`."""

    def __init__(self, podman: Podman, service: Service, images: Mapping[str, str], folder: Path, options: list[str]):
        root = folder / "engine"
        root.mkdir()
        order = {"command": podman.command, "environment": podman.environment, "network": service.network}
        (root / ORDER).write_text(json.dumps(order | {"options": options}))
        self.engine = LocalEngine(
            "suite",
            {
                "root": root,
                "images": {image: {"command": [image], "working_dir": "/usr/application"} for image in images.values()},
                "nodes": [{"nodeType": "central"}, *({"dataPartner": partner} for partner in DATA_PARTNERS)],
                "runner": "tests.images.pods:PodmanRunner",
            },
        )
        self._service = service
        self._told = RecordingEngine("outside", {"dir": str(service.exchange)})
        self.running: set[str] = set()

    def turn(self) -> None:
        """Take what was handed out, and tell what has ended."""
        for path in (self._service.exchange / HANDED).glob("[!.]*.json"):
            given = json.loads(path.read_text())
            path.unlink()
            self.engine.submit(Submission(**given | {"of_installation": frozenset(given["of_installation"])}))
            self.running.add(given["name"])
        for name in sorted(self.running):
            status = self.engine.get(name)
            if status.phase.is_terminal:
                self.running.remove(name)
                self._told.finish(name, status.phase, status.message)
                # The service's containers are another user, whatever mask this process has.
                for path in self._service.exchange.glob("*.json"):
                    path.chmod(0o644)
