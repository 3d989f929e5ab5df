"""What a review of the pods' boundary found, line by line: each was possible once."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys

import pytest

from engines.local import LocalEngine
from engines.local.names import first_problem
from engines.local.pods import Mount
from tests.engines.local.harness import run, shell, workflow
from tests.engines.local.processes.world import World, python

MEBIBYTE = 1 << 20


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.open()
    yield world
    world.runner.close_all()


@pytest.fixture
def volume(tmp_path):
    def make(name):
        directory = tmp_path / name
        directory.mkdir()
        directory.chmod(0o777)
        return directory

    return make


# Being in others' way


@pytest.mark.parametrize("kind", ["F_WRLCK", "F_RDLCK"])
def test_no_lease_keeps_others_from_a_file(world, volume, kind):
    # The service's own Python is shown as the container's own: with a lease on it nobody else could open it.
    takes = (
        "import fcntl, os, sys\n"
        "for path in sys.argv[1:]:\n"
        f"    try: fcntl.fcntl(os.open(path, os.O_RDONLY), fcntl.F_SETLEASE, fcntl.{kind}); print('held', path)\n"
        "    except OSError as problem: print(problem.errno)"
    )
    ours = volume("ours")
    (ours / "file").write_text("x")
    shown = world.run(*python(takes), os.__file__, "/ws/file", mounts=[Mount(ours, "/ws")])
    assert shown == "1\n1\n"


def test_locks_and_pipes_still_work(world):
    script = (
        "import fcntl, os\n"
        "f = open('/tmp/x', 'w'); fcntl.flock(f, fcntl.LOCK_EX); fcntl.lockf(f, fcntl.LOCK_EX)\n"
        "r, w = os.pipe(); print(fcntl.fcntl(w, 1031, 1 << 16), fcntl.fcntl(r, fcntl.F_GETFL), os.dup(r) > r)\n"
        "m = os.memfd_create('x', 2); print(fcntl.fcntl(m, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK))"
    )
    assert world.run(*python(script)) == "65536 0 True\n0\n"


def test_descriptors_on_their_way_leave_others_theirs(tmp_path):
    # Counted for all processes of a user: an ordinary user's pods share the count with his service.
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, before[1]), before[1]))
    sends = (
        "import array, os, resource, socket, time\n"
        "most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))\n"
        "null, kept = array.array('i', [os.open('/dev/null', 0)] * 250), []\n"
        "try:\n"
        "    while len(kept) < 200:\n"
        "        kept.append(socket.socketpair()); kept[-1][0].sendmsg([b'x'], [(1, 1, null)])\n"
        "except OSError as problem: pass\n"
        "print('sent', flush=True); time.sleep(1000)"
    )
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    attacker, other = World(tmp_path / "one"), World(tmp_path / "two")
    try:
        attacker.open()
        other.open()
        attacker.start(*python(sends))
        attacker.until(lambda: "sent" in attacker.output())
        assert other.shell("echo well") == "well\n"
        ours, theirs = socket.socketpair()
        with ours, theirs:
            socket.send_fds(ours, [b"x"], [ours.fileno()])
    finally:
        attacker.runner.close_all()
        other.runner.close_all()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("protocol", [33, 132, 136, 262])
def test_no_socket_has_the_kernel_load_more(world, protocol):
    script = (
        "import socket, sys\n"
        "for kind in (1, 2, 5, 6):\n"
        "    try: socket.socket(2, kind, int(sys.argv[1])); print('made', kind)\n"
        "    except OSError as problem: print(problem.errno)"
    )
    assert world.run(*python(script), str(protocol)) == "1\n" * 4


def test_usual_sockets_are_made(world):
    script = (
        "import socket\n"
        "for family in (1, 2, 10):\n"
        "    for kind in (1, 2): socket.socket(family, kind)\n"
        "socket.socket(2, 1, 6); socket.socket(10, 2, 17); socket.socket(16, 3, 0); socket.socketpair(); print('made')"
    )
    assert world.run(*python(script)) == "made\n"


# Being somebody else


FAKE = (
    "mkdir -p /ws/self/fd /ws/sys/kernel; touch /ws/self/fd/3; echo 0 > /ws/sys/kernel/cap_last_cap\n"
    "for name in setgroups uid_map gid_map oom_score_adj; do touch /ws/self/$name; done"
)


@pytest.mark.parametrize("target", ["/proc", "/proc/self", "/proc/sys/kernel", "/dev", "/dev/null"])
def test_nothing_is_mounted_over_the_kernels_files(world, volume, target):
    # A container's init process believes what it reads there: who it is was written into a file of the pod.
    planted = volume("planted")
    world.shell(FAKE, name="init", mounts=[Mount(planted, "/ws")])
    below = {"/proc/self": "self", "/proc/sys/kernel": "sys/kernel", "/dev/null": "self/uid_map"}.get(target, "")
    world.start("true", mounts=[Mount(planted, target, below=below)])
    ended = world.wait()
    assert (ended.reason, ended.exit_code) == ("StartError", 128)
    assert "kernel's own files" in ended.message


def test_shared_memory_may_be_a_volume(world, volume):
    kept = volume("kept")
    world.shell("echo x > /dev/shm/x", mounts=[Mount(kept, "/dev/shm")])
    assert (kept / "x").read_text() == "x\n"


@pytest.mark.parametrize("path", ["/proc", "//proc/./self", "/dev", "/dev/null", "/dev/shmem"])
def test_such_a_mount_is_refused_by_its_place(path):
    template = {"name": "main", "container": {"volumeMounts": [{"name": "v", "mountPath": path}]}}
    assert first_problem(template, "template").startswith("/container/volumeMounts/0/mountPath: ")
    assert (
        first_problem({**template, "container": {"volumeMounts": [{"name": "v", "mountPath": "/dev/shm"}]}}, "template")
        == ""
    )


@pytest.mark.parametrize("link", ["/usr/bin", "/proc/self/root", "../../../usr", "."])
def test_a_link_in_a_volume_moves_no_mount(world, volume, link):
    # One container plants it; another one had its programs replaced by a volume that the first one writes.
    outer, inner = volume("outer"), volume("inner")
    world.shell(f"ln -s {link} /ws/sub", name="init", mounts=[Mount(outer, "/ws")])
    world.start("sh", "-c", "true", mounts=[Mount(outer, "/ws"), Mount(inner, "/ws/sub")])
    ended = world.wait()
    assert ended.reason == "StartError"
    assert "symbolic links" in ended.message


def test_a_mount_inside_another_is_made_there(world, volume):
    outer, inner = volume("outer"), volume("inner")
    (inner / "file").write_text("inner")
    mounts = [Mount(outer, "/ws"), Mount(inner, "/ws/a/b"), Mount(inner / "file", "/ws/c/file")]
    for _ in range(2):
        assert world.shell("cat /ws/a/b/file /ws/c/file; echo x > /ws/a/b/x", mounts=mounts) == "innerinner"
    assert (inner / "x").read_text() == "x\n"
    assert not (outer / "a/b/x").exists()


# Leaving something behind


def test_the_init_process_keeps_its_limits(world):
    # It starts the next container, with its own limits and priority.
    spoils = (
        "import os, resource\n"
        "def ioprio(which, who): \n"
        "    import ctypes; c = ctypes.CDLL(None, use_errno=True)\n"
        "    if c.syscall({'x86_64': 251, 'aarch64': 30}[os.uname().machine], which, who, 3 << 13): raise OSError\n"
        "for what in (\n"
        "    lambda: resource.prlimit(1, resource.RLIMIT_NOFILE, (3, 3)),\n"
        "    lambda: resource.prlimit(1, resource.RLIMIT_FSIZE, (0, 0)),\n"
        "    lambda: os.setpriority(os.PRIO_PROCESS, 1, 19),\n"
        "    lambda: os.setpriority(os.PRIO_USER, 0, 19),\n"
        "    lambda: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0)),\n"
        "    lambda: os.sched_setaffinity(1, {min(os.sched_getaffinity(0))}),\n"
        "    lambda: ioprio(1, 1), lambda: ioprio(3, 0),\n"
        "):\n"
        "    try: what(); print('done')\n"
        "    except OSError: print('refused')\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (60, 60)); os.nice(1)\n"
        "os.sched_setaffinity(0, os.sched_getaffinity(0))"
    )
    says = (
        "import os, resource; print([resource.getrlimit(n) for n in range(16)], os.getpriority(0, 0), "
        "os.sched_getscheduler(0), os.sched_getaffinity(0))"
    )
    before = world.run(*python(says))
    assert world.run(*python(spoils)) == "refused\n" * 8
    world.runner.close("pod")
    world.open("next")
    assert world.run(*python(says), pod="next") == before


@pytest.mark.parametrize("where", ["/tmp", "/", "/etc", "/dev/shm"])
def test_no_access_list_is_left_to_the_next_pod(world, where):
    # With such a default the next pod could not read what it wrote there itself.
    denies = (
        "import os, struct, sys\n"
        "try:\n"
        "    denied = [struct.pack('<HHI', who, 0, 0xffffffff) for who in (1, 4, 32)]\n"
        "    os.setxattr(sys.argv[1], 'system.posix_acl_default', struct.pack('<I', 2) + b''.join(denied))\n"
        "    os.setxattr(sys.argv[1], 'user.left', b'x')\n"
        "except OSError: pass"
    )
    world.run(*python(denies), where)
    world.runner.close("pod")
    world.open("next")
    says = "import os, sys; print([name for name in os.listxattr(sys.argv[1]) if name[:3] != 'sec'])"
    assert world.run(*python(says), where, pod="next") == "[]\n"


def test_shared_memory_is_open_to_the_next_pod(world):
    before = world.shell("stat -c %a /dev/shm; chmod 0 /dev/shm 2>/dev/null; true")
    world.runner.close("pod")
    world.open("next")
    assert world.shell("stat -c %a /dev/shm", pod="next") == before


def test_a_program_stays_the_first_to_go(world):
    tries = "echo 0 > /proc/self/oom_score_adj; echo 0 > /proc/$$/oom_adj; cat /proc/self/oom_score_adj"
    assert world.shell(f"({tries}) 2>/dev/null") == "800\n"


# Looking at the machine


@pytest.mark.parametrize("name", ["cmdline", "kallsyms", "interrupts", "iomem", "locks", "keys", "config.gz"])
def test_the_machines_own_is_not_told(world, name):
    assert world.shell(f"head -c 16 /proc/{name} 2>/dev/null | wc -c").strip() == "0"


def test_nothing_of_proc_is_written(world):
    shown = world.shell(
        "for f in /proc/self/comm /proc/pressure/cpu /proc/sys/kernel/ns_last_pid; do "
        "[ ! -e $f ] || (echo x > $f) 2>/dev/null && [ -e $f ] && echo $f; done; true"
    )
    assert shown == ""


# Ending the run without a reason


def test_a_name_that_is_no_text_ends_no_supervisor(tmp_path):
    engine = LocalEngine("local", {"root": tmp_path / "engine"})
    script = "mkdir -p /tmp/out/$(printf '\\377'); chmod 0 /tmp/out/*"
    template = {
        "name": "main",
        "container": shell(script),
        "outputs": {"artifacts": [{"name": "out", "path": "/tmp/out"}]},
    }
    try:
        status = run(engine, "no-text", workflow(template))
        assert status.phase == "Error"
        assert "failed to save outputs" in status.message
    finally:
        engine.delete("no-text")


# Working as programs expect


def test_a_program_opens_its_streams_again(world):
    world.shell("echo out > /dev/stdout; echo err > /dev/stderr; echo more > /proc/self/fd/1")
    assert world.output() == "out\nmore\n"
    assert world.output(stream="stderr") == "err\n"


def test_cores_are_given_to_nobody(world):
    # A limit of 1 is the only one that keeps the kernel from starting the program that core_pattern names.
    script = (
        "import ctypes, resource\n"
        "most = resource.getrlimit(resource.RLIMIT_CORE); print(most)\n"
        "for limit in (0, 1): resource.setrlimit(resource.RLIMIT_CORE, (0, limit))\n"
        "resource.prlimit(0, resource.RLIMIT_CORE, (0, 0))\n"
        "import mmap\n"
        "c = ctypes.CDLL(None, use_errno=True); c.mmap.restype = ctypes.c_void_p\n"
        "at = c.mmap(ctypes.c_void_p(1 << 32), ctypes.c_size_t(4096), 3, 0x100022, -1, ctypes.c_long(0))\n"
        "assert at == 1 << 32, at\n"
        "c.prlimit(0, 4, ctypes.c_void_p(at), None); c.setrlimit(4, ctypes.c_void_p(at))\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE))\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    assert world.run(*python(script)) == "(1, 1)\n(1, 1)\n(64, 64)\n"


def test_many_descriptors_hide_no_memory(world):
    # Where no control group counts, all descriptors of a container were looked through first, for seconds.
    script = (
        "import os, time\n"
        "null = os.open('/dev/null', 0)\n"
        "for _ in range(500):\n"
        "    if not os.fork():\n"
        "        for _ in range(900): os.dup(null)\n"
        "        time.sleep(1000)\n"
        "time.sleep(2); held = b'x' * (200 << 20); time.sleep(0.5); print('got away with it', flush=True)\n"
        "time.sleep(1000)"
    )
    world.start(*python(script), memory_limit_bytes=100 * MEBIBYTE)
    assert world.wait().reason == "OOMKilled"
    assert world.output() == ""


def test_a_folder_of_the_operator_keeps_its_mode(tmp_path):
    # On a file system without id-mapped mounts a writable hostPath was opened to everybody on the host, for good.
    if os.geteuid():
        # There the ids are the same, and nothing is opened.
        return
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from engines.local.pods import Mount\n"
        "from tests.engines.local.processes.world import World\n"
        "base = Path(sys.argv[1]); partner = base / 'merged' / 'partner'; partner.mkdir(mode=0o700)\n"
        "world = World(base / 'world'); world.open()\n"
        "(base / 'world' / 'volume').mkdir()\n"
        "try: print(world.shell('cat /data/x 2>/dev/null; echo x > /ws/x; cat /ws/x',\n"
        "    mounts=[Mount(partner, '/data'), Mount(base / 'world' / 'volume', '/ws')]), end='')\n"
        "finally: world.runner.close_all()\n"
        "print(oct(partner.stat().st_mode))"
    )
    for name in ("lower", "upper", "work", "merged", "world"):
        (tmp_path / name).mkdir()
    layers = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    mount = f"mount -t overlay overlay -o {layers} {tmp_path}/merged"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "x\n0o40700\n", done.stderr
