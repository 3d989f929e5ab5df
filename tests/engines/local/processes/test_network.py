"""The network of pods: a loopback each, and gateways out of it."""

import contextlib
import socket
import sys
import threading

import pytest

from tests.engines.local.processes.world import python

SERVE = """
import socket, sys
server = socket.create_server(("127.0.0.1", 8001))
print("listening", flush=True)
while True:
    connection, _ = server.accept()
    with connection:
        connection.recv(100)
        connection.sendall(sys.argv[1].encode())
"""
FETCH = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30) as connection:
    connection.sendall(b"question")
    connection.shutdown(socket.SHUT_WR)
    answer = b""
    while data := connection.recv(65536):
        answer += data
print(answer.decode())
"""
LINGER = """
import socket, sys, time
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.send(b"x")
print("up", flush=True)
time.sleep(1000)
"""
KNOCK = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30) as connection:
        connection.sendall(b"question")
        print("answer", connection.recv(100))
except OSError as error:
    print(type(error).__name__)
"""


def echo(connection):
    """Answer with all that came, once its end has come."""
    received = b""
    while data := connection.recv(65536):
        received += data
    connection.sendall(b"echo " + received)


@contextlib.contextmanager
def serving(answer, address="127.0.0.1"):
    """A server of the host, outside of all pods; yields its port."""
    with socket.create_server((address, 0), backlog=128) as server:
        threads = []

        def attend(connection):
            with connection, contextlib.suppress(OSError):
                answer(connection)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threads.append(threading.Thread(target=attend, args=(connection,)))
                    threads[-1].start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for thread in threads:
                thread.join()


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_two_pods_serve_the_same_port(world):
    for pod in ("one", "two"):
        world.open(pod)
        world.start(*python(SERVE), pod, pod=pod, name="server")
    world.until(lambda: all(world.output(pod, "server") == "listening\n" for pod in ("one", "two")))
    for pod in ("one", "two"):
        assert world.run(*python(FETCH), "127.0.0.1", "8001", pod=pod) == f"{pod}\n"
        assert world.run(*python(FETCH), "localhost", "8001", pod=pod) == f"{pod}\n"


def test_a_port_is_free_again_for_the_next_pod(world):
    for pod in ("one", "two", "three"):
        world.open(pod)
        world.start(*python(SERVE), pod, pod=pod, name="server")
        world.until(lambda pod=pod: world.output(pod, "server") == "listening\n")
        assert world.run(*python(FETCH), "127.0.0.1", "8001", pod=pod) == f"{pod}\n"
        world.runner.close(pod)


def test_a_gateway_leads_to_the_host_and_keeps_half_closed_connections(world):
    with serving(echo) as port:
        world.open(gateways=[f"127.0.0.1:{port}"])
        assert world.run(*python(FETCH), "127.0.0.1", str(port)) == "echo question\n"


def test_a_gateway_may_lead_to_another_address(world):
    with serving(echo) as port:
        world.open(gateways=[f"127.0.0.1:8900=127.0.0.1:{port}", f"api.example:80=localhost:{port}"])
        assert world.run(*python(FETCH), "127.0.0.1", "8900") == "echo question\n"
        assert world.run(*python(FETCH), "api.example", "80") == "echo question\n"


def test_a_gateway_by_name(world):
    with serving(echo) as port:
        world.open(gateways=[f"localhost:{port}", f"{socket.gethostname()}:{port}"])
        assert world.run(*python(FETCH), "localhost", str(port)) == "echo question\n"
        assert socket.gethostname() in world.run("cat", "/etc/hosts")


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_a_gateway_has_the_outer_address_inside(world, address):
    shown = f"[{address}]" if ":" in address else address
    world.open(gateways=[f"{shown}:9"])
    script = "import socket,sys; s=socket.create_connection((sys.argv[1], 9), timeout=30); print(s.getpeername()[0])"
    assert world.run(*python(script), address) == f"{address}\n"


def test_a_gateway_without_a_service_resets(world):
    port = closed_port()
    world.open(gateways=[f"127.0.0.1:{port}"])
    assert world.run(*python(KNOCK), "127.0.0.1", str(port)) in ("ConnectionResetError\n", "BrokenPipeError\n")


def test_a_gateway_of_an_unknown_name_resets(world):
    world.open(gateways=["no-such-host.invalid:80"])
    assert world.run(*python(KNOCK), "no-such-host.invalid", "80") in ("ConnectionResetError\n", "BrokenPipeError\n")


def test_other_ports_of_the_host_cannot_be_reached(world):
    with serving(echo) as port, serving(echo) as other:
        world.open(gateways=[f"127.0.0.1:{port}"])
        assert world.run(*python(KNOCK), "127.0.0.1", str(other)) == "ConnectionRefusedError\n"
        assert world.run(*python(KNOCK), "192.0.2.1", "80") == "OSError\n"


def test_much_data_passes_both_ways_with_back_pressure(world):
    script = """
import socket, sys, threading, hashlib
sent, received = hashlib.sha256(), hashlib.sha256()
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60) as connection:
    def send():
        for number in range(256):
            data = bytes([number]) * 65536
            sent.update(data)
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=send)
    thread.start()
    while data := connection.recv(65536):
        received.update(data)
    thread.join()
print(sent.digest() == received.digest())
"""

    def mirror(connection):
        while data := connection.recv(65536):
            connection.sendall(data)

    with serving(mirror) as port:
        world.open(gateways=[f"127.0.0.1:{port}"])
        assert world.run(*python(script), str(port)) == "True\n"


def test_many_connections_at_once(world):
    script = """
import socket, sys
connections = [socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60) for _ in range(100)]
for number, connection in enumerate(connections):
    connection.sendall(b"%d" % number)
    connection.shutdown(socket.SHUT_WR)
answers = [connection.recv(100) for connection in connections]
print(answers == [b"echo %d" % number for number in range(100)])
"""
    with serving(echo) as port:
        world.open(gateways=[f"127.0.0.1:{port}"])
        assert world.run(*python(script), str(port)) == "True\n"


def test_a_service_that_breaks_off_resets_the_caller(world):
    def break_off(connection):
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with serving(break_off) as port:
        world.open(gateways=[f"127.0.0.1:{port}"])
        assert world.run(*python(KNOCK), "127.0.0.1", str(port)) == "ConnectionResetError\n"


def test_closing_a_pod_breaks_its_connections(world):
    ended = threading.Event()

    def wait_for_the_end(connection):
        with contextlib.suppress(OSError):
            while connection.recv(100):
                pass
        ended.set()

    with serving(wait_for_the_end) as port:
        world.open(gateways=[f"127.0.0.1:{port}"])
        world.start(*python(LINGER), str(port))
        world.until(lambda: world.output() == "up\n")
        world.runner.close("pod")
        assert ended.wait(60)


def test_a_bad_gateway_is_refused(world):
    for text in (
        "nowhere",
        "host:",
        ":80",
        "host:99999",
        "host:80=nowhere",
        "nowhere=host:80",
        "a:1=b:2=c:3",
        "a b:80",
    ):
        with pytest.raises(ValueError, match="host:port"):
            world.open(gateways=[text])


def test_abstract_sockets_of_the_host_are_not_seen(world):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0orchestrator-test")
        server.listen()
        world.open()
        script = "import socket; socket.socket(socket.AF_UNIX).connect(chr(0) + 'orchestrator-test')"
        world.start(sys.executable, "-I", "-S", "-c", script)
        assert world.wait().exit_code != 0
