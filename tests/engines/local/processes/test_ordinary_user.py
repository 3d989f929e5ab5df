"""The same pods without root: in a user namespace of their own."""

import json
import os
import shutil
import site
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.engines.local.processes.world import place_outside_tmp

NOBODY = 65534
SCRIPT = """
import json, os, sys
from pathlib import Path
from engines.local.pods import Mount
from engines.local.processes import surroundings
from tests.engines.local.processes.world import World, leading_to_programs, open_descriptors, python
from tests.engines.local.processes.test_network import KNOCK, FETCH, SERVE, serving, echo

directory = Path(sys.argv[1])
directory.mkdir()
answers = {"user": os.getuid(), "surroundings": surroundings(directory)}
source, patients = directory / "source", directory / "patients"
(patients / "deep").mkdir(parents=True)
(patients / "secret").write_text("secret")
source.mkdir()
(source / "file").write_text("from the host")
before = open_descriptors()
world = World(directory)
with serving(echo) as port:
    world.open(gateways=[f"127.0.0.1:{port}", "192.0.2.7:80"], hidden=[patients])
    mounts = [Mount(source, "/usr/application"), Mount(source / "file", "/platform_vars.json"),
              Mount(source, "/tmp/input"), Mount(source, "/ws"), Mount(patients / "deep", "/var/lib/here")]
    answers["mounts"] = world.shell(
        "cat /usr/application/file /platform_vars.json /tmp/input/file /ws/file; echo back > /var/lib/here/answer",
        mounts=mounts, working_dir="/work/dir")
    answers["answer"] = (patients / "deep/answer").read_text()
    answers["hidden"] = world.shell(f"ls -A {patients} 2>/dev/null || true")
    answers["id"] = world.run("id", "-u").strip()
    answers["caps"] = world.run("grep", "CapEff", "/proc/self/status").split()[1]
    answers["private"] = world.shell(
        "for d in /tmp /usr/share /out/put /; do echo $d > $d/result; cat $d/result; done; ls /usr/bin/env",
        private_paths=["/tmp", "/usr/share", "/out/put"])
    paths = ("/tmp", "/usr/share", "/out/put", "")
    answers["found"] = [world.text(f"{path}/result").strip() for path in paths]
    answers["processes"] = world.shell("echo /proc/[0-9]*")
    answers["devices"] = world.shell("head -c 4 /dev/urandom | wc -c; echo x > /dev/shm/x; cat /dev/shm/x")
    world.start("sh", "-c", "echo x > /etc/passwd")
    answers["host"] = world.wait().exit_code
    answers["gateway"] = world.run("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}; echo open")
    world.runner.close("pod")
    world.until(lambda: world.runner.idle() == 1)
    world.open("next", gateways=[f"127.0.0.1:{port}", "192.0.2.7:80"])
    shown = world.shell("ls -A /tmp; cat /result || true", pod="next").splitlines()
    answers["next"] = [name for name in shown if name not in leading_to_programs("/tmp")]
    world.start("sh", "-c", "x=a; while true; do x=$x$x; done", pod="next", memory_limit_bytes=32 << 20)
    answers["limit"] = world.wait("next").reason
world.runner.close_all()
answers["descriptors"] = open_descriptors() - before
answers["left"] = sorted(path.name for path in directory.iterdir())
print(json.dumps(answers))
"""


@pytest.fixture
def home():
    """A directory that an ordinary user may write, and that isn't below a directory closed to him."""
    name = tempfile.mkdtemp(prefix="orchestrator-test-", dir=place_outside_tmp())
    if os.getuid() == 0:
        os.chown(name, NOBODY, NOBODY)
    yield Path(name)
    shutil.rmtree(name)


def open_python(home: Path) -> str:
    """Return a Python of this version, with the packages of this one, that an ordinary user may run."""
    places = (Path(sys.base_prefix), Path(sys.prefix))
    try:
        closed = any(not one.stat().st_mode & 0o005 for place in places for one in (place, *place.parents))
    except OSError:
        closed = True
    return own_python(home / "python") if closed else sys.executable


def own_python(own: Path) -> str:
    """Make a virtual environment of this version of Python, with the packages of this one, for everybody's use."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    system = Path("/usr/bin", version)
    assert system.exists(), f"{system} is not installed, and {sys.base_prefix} may be closed to ordinary users"
    # Where the service was loaded in this process, it keeps what it makes to itself.
    subprocess.run([system, "-m", "venv", "--without-pip", own], check=True, umask=0o022)
    packages = own / "lib" / version / "site-packages"
    for source in site.getsitepackages():
        # Linked where that goes: there is much of it.
        link = ["cp", "--archive", "--link", f"{source}/.", packages]
        if subprocess.run(link, capture_output=True, check=False).returncode:
            shutil.copytree(source, packages, symlinks=True, dirs_exist_ok=True)
    return str(own / "bin" / "python")


def command(home: Path) -> list[str]:
    """Return how to run Python as an ordinary user; where the project lies may be closed to him, reading is not."""
    if os.getuid():
        return [sys.executable]
    reading = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    user = ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    return ["setpriv", *user, *reading, open_python(home)]


def test_an_ordinary_user_runs_pods(home):
    done = subprocess.run(
        [*command(home), "-c", SCRIPT, str(home / "pods")], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert answers["user"] != 0
    assert answers["surroundings"] == []
    assert answers["mounts"] == "from the host" * 4
    assert answers["answer"] == "back\n"
    assert answers["hidden"] == ""
    assert answers["id"] == "1000"
    assert int(answers["caps"], 16) == 0
    assert answers["private"].split() == ["/tmp", "/usr/share", "/out/put", "/", "/usr/bin/env"]
    assert answers["found"] == ["/tmp", "/usr/share", "/out/put", "/"]
    assert len(answers["processes"].split()) == 2
    assert answers["devices"].split() == ["4", "x"]
    assert answers["host"] != 0
    assert answers["gateway"] == "open\n"
    assert answers["next"] == []
    assert answers["limit"] == "OOMKilled"
    assert answers["descriptors"] == 0
    assert answers["left"] == ["next", "patients", "pod", "source"]
