"""Programs in containers that try to get out, to look at others, or to take more than is theirs."""

from __future__ import annotations

import contextlib
import os
import platform
import socket
import sys
import tempfile
import uuid
from pathlib import Path

import pytest

from engines.local.pods import Mount, OutputUnreadable
from engines.local.processes.seccomp import container_filter
from tests.engines.local.processes.world import World, leading_to_programs, place_outside_tmp, processes_with, python

MEBIBYTE = 1 << 20
SECRET = "the-service's-secret-key"
# Number of a system call on x86-64 and on 64-bit ARM, with arguments that would do something.
FORBIDDEN = {
    "unshare a user namespace": ((272, 97), 0x10000000),
    "unshare mounts": ((272, 97), 0x00020000),
    "clone into a user namespace": ((56, 220), 0x10000000 | 17, 0, 0, 0, 0),
    "clone3": ((435, 435), 0, 0),
    "setns": ((308, 268), 0, 0),
    "mount": ((165, 40), 0, 0, 0, 0, 0),
    "umount": ((166, 39), 0, 2),
    "pivot_root": ((155, 41), 0, 0),
    "chroot": ((161, 51), 0),
    "open_tree": ((428, 428), -100, 0, 1),
    "move_mount": ((429, 429), -1, 0, -1, 0, 0),
    "fsopen": ((430, 430), 0, 0),
    "mount_setattr": ((442, 442), -1, 0, 0, 0, 0),
    "add_key": ((248, 217), 0, 0, 0, 0, -3),
    "keyctl": ((250, 219), 0, -3, 0),
    "request_key": ((249, 218), 0, 0, 0, 0),
    "bpf": ((321, 280), 0, 0, 0),
    "ptrace": ((101, 117), 16, 1, 0, 0),
    "process_vm_readv": ((310, 270), 1, 0, 0, 0, 0, 0),
    "process_vm_writev": ((311, 271), 1, 0, 0, 0, 0, 0),
    "kcmp": ((312, 272), 1, 1, 0, 0, 0),
    "pidfd_getfd": ((438, 438), 0, 0, 0),
    "io_uring_setup": ((425, 425), 1, 0),
    "userfaultfd": ((323, 282), 0),
    "perf_event_open": ((298, 241), 0, 0, -1, -1, 0),
    "open_by_handle_at": ((304, 265), -100, 0, 0),
    "mq_open": ((240, 180), 0, 0, 0, 0),
    "init_module": ((175, 105), 0, 0, 0),
    "kexec_load": ((246, 104), 0, 0, 0, 0),
    "reboot": ((169, 142), 0, 0, 0, 0),
    "swapon": ((167, 224), 0, 0),
    "settimeofday": ((164, 170), 0, 0),
    "a packet socket": ((41, 198), 17, 3, 0),
    "a socket to the hypervisor": ((41, 198), 40, 1, 0),
    "a socket of the kernel's crypto": ((41, 198), 38, 5, 0),
    "a netlink socket to netfilter": ((41, 198), 16, 3, 12),
    "typing into a terminal": ((16, 29), 0, 0x5412, 0),
    "a call that came later": ((1023, 1023), 0),
}
CALL = """
import ctypes, errno, sys
call = ctypes.CDLL(None, use_errno=True).syscall
call.restype = ctypes.c_long
result = call(*(ctypes.c_long(int(each)) for each in sys.argv[1:]))
print("refused" if result == -1 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS) else (result, ctypes.get_errno()))
"""


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.open()
    yield world
    world.runner.close_all()


# Getting out


def test_a_container_is_nobody_on_the_host(world):
    world.start("sh", "-c", f": {(mark := uuid.uuid4().hex)}; sleep 1000")
    world.until(lambda: processes_with(mark))
    status = Path(f"/proc/{processes_with(mark)[0]}/status").read_text()
    user = int(next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1])
    assert (user >= 0x70000000) if os.geteuid() == 0 else (user == os.geteuid())
    assert all(int(line.split()[1], 16) == 0 for line in status.splitlines() if line.startswith("Cap"))


def test_each_workflow_has_an_id_of_its_own(world, tmp_path):
    if os.geteuid():
        # There is one id; what others have is out of sight.
        assert world.shell("id -u") == "1000\n"
        return
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    try:
        other.open()
        maps = {each.shell("cat /proc/self/uid_map").split()[1] for each in (world, other)}
    finally:
        other.runner.close_all()
    assert len(maps) == 2


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_system_call_is_refused(world, name):
    (intel, arm), *arguments = FORBIDDEN[name]
    number = arm if platform.machine() == "aarch64" else intel
    shown = world.run(*python(CALL), *map(str, (number, *arguments)))
    assert shown == "refused\n"


def test_calls_of_another_architecture_are_refused():
    # Without the check of the architecture a 32-bit call would be read with 64-bit numbers.
    first_two = container_filter("x86_64")[:16]
    assert first_two[4:8] == (4).to_bytes(4, "little")
    assert first_two[12:16] == 0xC000003E.to_bytes(4, "little")


def test_ordinary_programs_work_under_the_filter(world):
    script = (
        "set -e; cd /tmp; mkdir a; cp /bin/sh a/; chmod 755 a/sh; mkfifo p; (echo x > p &); cat p; ln -s a b;"
        "tar cf t a;"
        "a/sh -c 'echo y'; sleep 0.01; find / -maxdepth 1 > /dev/null; date > /dev/null; nice -n 5 true"
    )
    assert world.shell(script) == "x\ny\n"
    threads = (
        "import concurrent.futures as f, multiprocessing as m, subprocess as s, socket, mmap, os, tempfile\n"
        "print(sum(f.ThreadPoolExecutor(8).map(abs, range(9))), s.check_output(['echo', 'z']).decode().strip())\n"
        "a, b = socket.socketpair(); a.send(b'q'); print(b.recv(1)); os.memfd_create('x'); mmap.mmap(-1, 4096)\n"
        "print(m.get_context('fork').Pool(2).map(abs, [-1]))"
    )
    assert world.run(sys.executable, "-c", threads).split("\n")[:3] == ["36 z", "b'q'", "[1]"]


@pytest.mark.parametrize("mode", ["4755", "2755", "6755"])
def test_no_file_lets_others_act_as_its_owner(world, mode, tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    world.start("sh", "-c", f"cp /bin/sh /ws/shell; chmod {mode} /ws/shell", mounts=[Mount(volume, "/ws")])
    world.wait()
    makes = "import os; os.umask(0); os.close(os.open('/ws/made', os.O_CREAT | os.O_WRONLY, 0o4755))"
    world.start(*python(makes), mounts=[Mount(volume, "/ws")])
    world.wait()
    assert all(not path.stat().st_mode & 0o6000 for path in volume.iterdir())


def test_setuid_programs_of_the_host_gain_nothing(world):
    shown = world.shell("for p in su passwd mount; do [ -e /usr/bin/$p ] && $p --help >/dev/null; done;"
                        "grep NoNewPrivs /proc/self/status; mount | grep ' / '")  # fmt: skip
    assert "NoNewPrivs:\t1" in shown
    assert "nosuid" in shown


# Looking at others


@pytest.fixture
def host():
    """A directory of the host that is below nothing that pods see."""
    base = place_outside_tmp()
    with tempfile.TemporaryDirectory(dir=base, prefix="orchestrator-attack-") as name:
        yield Path(name)


def test_files_of_the_host_are_out_of_sight(world, host):
    (host / "secret").write_text(SECRET)
    targets = [host / "secret", "/etc/shadow", "/etc/ssh", "/root/.ssh", "/home", "/var/log", "/proc/kcore", "/dev/mem",
               "/sys/fs/cgroup", "/sys/kernel", "/run/dbus", Path.cwd() / "manage.py", Path.cwd() / ".git"]  # fmt: skip
    shown = world.shell("; ".join(f"head -c 9 '{each}' 2>/dev/null; ls -A '{each}' 2>/dev/null" for each in targets)
                        + "; true")  # fmt: skip
    assert shown == ""


def test_roots_own_files_stay_shut_where_pods_may_read(tmp_path, host):
    host.chmod(0o755)
    (host / "open").write_text("open")
    (host / "open").chmod(0o644)
    (host / "shut").write_text(SECRET)
    (host / "shut").chmod(0o600)
    world = World(tmp_path, readable=[str(host)])
    try:
        world.open()
        shown = world.shell(f"cat {host}/open {host}/shut 2>/dev/null; true")
    finally:
        world.runner.close_all()
    # An ordinary user's pods have his id: what he lists is read as he reads it.
    assert shown == ("open" if os.geteuid() == 0 else f"open{SECRET}")


def test_devices_of_the_host_are_out_of_sight(world):
    shown = world.shell("for d in sda vda nvme0n1 mem kmem kvm loop0 fuse; do ls /dev/$d 2>/dev/null; done; "
                        "mknod /tmp/disk b 254 0 2>/dev/null; ls -A /tmp")  # fmt: skip
    assert shown.splitlines() == leading_to_programs("/tmp")


def test_another_container_of_the_pod_is_out_of_sight(world):
    token = uuid.uuid4().hex
    world.start("sh", "-c", "sleep 1000", name="step-runner", env={"ORCHESTRATOR_CALLBACK_TOKEN": token})
    shown = world.shell("cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; true", name="ai-engine")
    assert token not in shown
    assert "sleep" not in shown


def test_the_init_process_cannot_be_looked_into(world):
    token = uuid.uuid4().hex
    # The same namespaces, one container after the other: nothing of the first may be found by the second.
    for _ in range(2):
        world.shell("true", env={"TOKEN": token})
    script = (
        "import os\n"
        "for name in ('environ', 'mem', 'maps', 'fd', 'cwd/', 'root/', 'auxv', 'syscall', 'stack'):\n"
        "    try:\n"
        "        path = f'/proc/1/{name}'\n"
        "        found = os.listdir(path) if name[-1] in '/d' else open(path, 'rb').read(64)\n"
        "        print(name, 'read')\n"
        "    except OSError: pass\n"
        "for number in (9, 15, 19, 6):\n"
        "    os.kill(1, number)\n"
        "print('alive')"
    )
    assert world.run(*python(script)) == "alive\n"
    assert world.wait().reason == "Completed"


def test_sockets_of_the_host_are_out_of_reach(world):
    with socket.socket(socket.AF_UNIX) as listener, socket.socket() as other:
        name = f"\0orchestrator-{uuid.uuid4().hex}"
        listener.bind(name)
        listener.listen()
        other.bind(("127.0.0.1", 0))
        other.listen()
        script = (
            "import socket, sys\n"
            "unix, internet = '\\0' + sys.argv[1], ('127.0.0.1', int(sys.argv[2]))\n"
            "for family, address in ((socket.AF_UNIX, unix), (socket.AF_INET, internet)):\n"
            "    with socket.socket(family) as s: print(s.connect_ex(address) != 0)"
        )
        assert world.run(*python(script), name[1:], str(other.getsockname()[1])) == "True\nTrue\n"


# Having outputs read that are not the pod's


@pytest.mark.parametrize(
    "target",
    ["/proc/1/environ", "/proc/self/environ", "/proc/1/mem", "/proc/1/fd/2", "/proc/1/root/proc/1/environ",
     "/dev/zero", "/dev/urandom", "/dev/full", "/sys/devices/system/cpu/online", "/proc/kmsg", "/proc/mounts"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["link", "directory", "link in a directory"])
def test_the_kernels_files_are_not_read_as_outputs(world, target, kind):
    made = {
        "link": f"ln -s {target} /tmp/out",
        "directory": f"ln -s $(dirname {target}) /tmp/out",
        "link in a directory": f"mkdir /tmp/out; ln -s {target} /tmp/out/in; ln -s $(dirname {target}) /tmp/out/dir",
    }[kind]
    world.shell(made)
    found = {}
    with contextlib.suppress(OutputUnreadable):
        found = world.left("/tmp/out")
    assert all(text.startswith("->") or text == "a directory" for text in found.values()), found


def test_a_file_that_the_pod_may_not_read_is_not_read_for_it(world, host):
    if os.geteuid() != 0:
        # There is one id: what it may read, the pod may read.
        (host / "shut").write_text(SECRET)
        (host / "shut").chmod(0)
    else:
        (host / "shut").write_text(SECRET)
        os.chown(host / "shut", 1234, 1234)
        (host / "shut").chmod(0o600)
    world.shell("ln -s /data/shut /tmp/out", mounts=[Mount(host, "/data", read_only=True)])
    for path in ("/tmp/out", "/data/shut", "/data"):
        with pytest.raises(OutputUnreadable, match="Permission denied"):
            world.left(path)


def test_pipes_and_devices_are_passed_over(world):
    world.shell("mkdir /tmp/out; mkfifo /tmp/out/pipe; echo kept > /tmp/out/file; "
                "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/tmp/out/socket\")'")  # fmt: skip
    assert world.left("/tmp/out") == {"": "a directory", "file": "kept\n"}


def test_nobody_is_left_to_swap_files_while_they_are_read(world):
    mark = uuid.uuid4().hex
    swaps = (
        f"import os  # {mark}\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        while True:\n"
        "            for target in ('/etc/passwd', '/tmp/fine'):\n"
        "                os.symlink(target, '/tmp/new'); os.rename('/tmp/new', '/tmp/out')\n"
        "    os._exit(0)\n"
        "open('/tmp/fine', 'w').write('fine'); os.symlink('/tmp/fine', '/tmp/first')"
    )
    world.run(*python(swaps))
    assert processes_with(mark) == []
    assert world.text("/tmp/first") == "fine"


def test_an_endless_directory_is_refused(world):
    script = "import os\nos.chdir('/tmp')\nfor _ in range(300):\n    os.mkdir('d'); os.chdir('d')"
    world.run(*python(script))
    with pytest.raises(OutputUnreadable, match="more than 200 directories"):
        world.left("/tmp/d")


# Taking more than its own


def test_shared_memory_counts_against_the_limit(world):
    holds = "import time\nwith open('/dev/shm/x', 'wb') as f:\n    for _ in range(60): f.write(b'x' * (1 << 20))\n"
    world.start(*python(f"{holds}time.sleep(1000)"), memory_limit_bytes=32 * MEBIBYTE)
    assert world.wait().reason == "OOMKilled"


def test_shared_memory_has_an_end_of_its_own(world):
    world.start("sh", "-c", "head -c 400M /dev/zero > /dev/shm/x")
    assert world.wait().exit_code != 0


@pytest.mark.parametrize(
    "holds",
    [
        "import os, time\nf = os.memfd_create('x')\n"
        "for _ in range(200): os.write(f, b'x' * (1 << 20))\ntime.sleep(1000)",
        "import mmap, time\nm = mmap.mmap(-1, 200 << 20)\nm.write(b'x' * (200 << 20)); time.sleep(1000)",
        "import ctypes, time\nc = ctypes.CDLL(None); c.shmat.restype = ctypes.c_void_p\n"
        "p = c.shmat(c.shmget(0, 200 << 20, 0o1600), None, 0); ctypes.memset(p, 1, 200 << 20); time.sleep(1000)",
        "import os, time\nfor _ in range(4):\n    if not os.fork(): x = b'x' * (50 << 20); time.sleep(1000)\n"
        "time.sleep(1000)",
    ],
    ids=["memory files", "anonymous shared memory", "System V", "children"],
)
def test_memory_counts_wherever_it_is_held(world, holds):
    world.start(*python(holds), memory_limit_bytes=64 * MEBIBYTE)
    assert world.wait().reason == "OOMKilled"


def test_a_container_has_only_so_many_processes(tmp_path):
    world = World(tmp_path, most_processes=50)
    bomb = (
        "import os, time\nmade = 0\n"
        "try:\n"
        "    while made < 1500:\n"
        "        if not os.fork(): time.sleep(1000)\n"
        "        made += 1\n"
        "except BlockingIOError: pass\n"
        "print(made)"
    )
    try:
        world.open()
        assert int(world.run(*python(bomb))) < 50
        # Those of one container are not counted for another.
        assert world.shell("echo well", name="other") == "well\n"
    finally:
        world.runner.close_all()


def test_a_fork_bomb_ends_with_its_container(world):
    mark = uuid.uuid4().hex
    bomb = f"import os  # {mark}\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    world.start(*python(bomb))
    world.until(lambda: len(processes_with(mark)) > 20)
    world.runner.close("pod")
    assert processes_with(mark) == []


# Poisoning what comes after


def test_a_changed_view_is_not_given_to_the_next_pod(world):
    poison = "cp /bin/true /tmp/sh; rm /bin; ln -s /tmp /bin; ln -sfn /tmp/evil /lib64; echo x > /etc/x; mkdir /opt/x"
    world.start("sh", "-c", poison)
    world.wait()
    world.runner.close("pod")
    world.until(lambda: world.runner.idle() == 1)
    world.open("next")
    shown = world.shell("readlink -f /bin/sh /lib64; ls /etc/x /opt /tmp 2>/dev/null || true", pod="next")
    assert "/tmp/" not in shown
    assert "x\n" not in shown


def test_the_next_pod_finds_no_accounts_changed(world):
    world.start("sh", "-c", "echo evil:x:0:0::/:/bin/sh >> /etc/passwd; echo 10.0.0.1 api >> /etc/hosts")
    world.wait()
    world.runner.close("pod")
    world.until(lambda: world.runner.idle() == 1)
    world.open("next")
    assert "evil" not in world.shell("cat /etc/passwd /etc/hosts", pod="next")


def test_many_pods_at_once_leave_nothing(tmp_path):
    mark = uuid.uuid4().hex
    world = World(tmp_path)
    try:
        for number in range(12):
            world.open(f"pod-{number}")
            world.start("sh", "-c", f"setsid sh -c 'sleep 1000; : {mark}' & exit 3", pod=f"pod-{number}")
        world.until(lambda: len(world.ended) == 12)
        assert processes_with(mark) == []
        assert {end.exit_code for end in world.ended.values()} == {3}
    finally:
        world.runner.close_all()


@pytest.mark.parametrize(
    "script",
    [
        "import os\nos.chdir('%s')\nfor _ in range(1500):\n    os.mkdir('d'); os.chdir('d')",
        "for number in range(5000): open(f'%s/{number}', 'w').close()",
        "import os\nos.makedirs('%s/a/b'); open('%s/a/b/c', 'w').close(); os.chmod('%s/a/b', 0); os.chmod('%s/a', 0)",
    ],
    ids=["deep", "wide", "shut"],
)
@pytest.mark.parametrize("where", ["/tmp", "/dev/shm", "/etc"])
def test_a_litter_of_files_does_not_stop_the_next_pod(world, where, script):
    world.run(*python(script.replace("%s", where)))
    world.runner.close("pod")
    world.open("next")
    assert world.shell(f"ls -A {where} | grep -c '^[0-9ad]*$' || true", pod="next") == "0\n"
    world.runner.close("next")
    world.runner.close_all()
    assert not (world.directory / "sandboxes").exists()
