"""An artifact's address must lead no further than its pod: not to other services of this machine, not by a redirect."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from engines.local import LocalEngine
from policy.check import judge
from policy.conf import check_settings
from policy.rules import Grant, Policy
from runtime.http_artifacts import main
from tests.engines.local.harness import parameters, run, shell, text, workflow


class Site:
    """A server on the loopback that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.redirect = ""
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                if self.path == "/redirect":
                    self.send_response(302)
                    self.send_header("Location", site.redirect)
                    self.end_headers()
                    return
                archives = {f"/{kind}": packed(*entry) for kind, entry in ARCHIVES.items()}
                found = {"/data": b"fetched\n", **archives}.get(self.path)
                self.send_response(200 if found else 404)
                self.end_headers()
                self.wfile.write(found or b"")

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


# What lies in an archive: name, kind, target of a link.
ARCHIVES = {
    "archive": ("inner/file", tarfile.REGTYPE, ""),
    "upwards": ("inner/../../outside", tarfile.REGTYPE, ""),
    "absolute": ("/tmp/outside", tarfile.REGTYPE, ""),
    "link": ("inner", tarfile.SYMTYPE, "/etc"),
    "hard-link": ("inner", tarfile.LNKTYPE, "../outside"),
    "device": ("inner", tarfile.CHRTYPE, ""),
    "pipe": ("inner", tarfile.FIFOTYPE, ""),
}


def packed(name: str, kind: bytes, target: str) -> bytes:
    """Return an archive of one entry; a file's content is `packed`."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.mode = kind, target, 0o4755
        entry.size = 7 if kind == tarfile.REGTYPE else 0
        archive.addfile(entry, io.BytesIO(b"packed\n"))
    return stream.getvalue()


@pytest.fixture(scope="module")
def open_site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="module")
def hidden_site() -> Iterator[Site]:
    """A service of this machine that no pod may reach."""
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, open_site: Site) -> Iterator[LocalEngine]:
    root = tmp_path_factory.mktemp("engine")
    engine = LocalEngine("local", {"root": root, "gateways": [open_site.address]})
    yield engine
    for status in list(engine.list()):
        engine.delete(status.name)


def manifest(url: str, script: str = "cat /tmp/in", **artifact: Any) -> dict[str, Any]:
    artifacts = [{"name": "in", "path": "/tmp/in", "http": {"url": url}, **artifact}]
    return workflow({"name": "main", "inputs": {"artifacts": artifacts}, "container": shell(script)})


def test_an_artifact_is_fetched_by_its_pod(engine: LocalEngine, open_site: Site) -> None:
    status = run(
        engine, "fetch", manifest(f"http://{open_site.address}/data", "cat /tmp/in; ls -l /tmp/in", mode=0o755)
    )

    assert status.phase == "Succeeded"
    assert text(engine, "fetch").startswith("fetched\n-rwxr-xr-x")


def test_an_archive_is_unpacked_unless_it_is_not_to_be(engine: LocalEngine, open_site: Site) -> None:
    url = f"http://{open_site.address}/archive"
    run(engine, "unpack", manifest(url, "cat /tmp/in/file"))
    run(engine, "as-it-is", manifest(url, "tar xzf /tmp/in -O inner/file", archive={"none": {}}))

    assert (text(engine, "unpack"), text(engine, "as-it-is")) == ("packed", "packed")


@pytest.mark.parametrize("kind", sorted(ARCHIVES.keys() - {"archive"}))
def test_an_archive_of_anything_but_its_own_files_is_refused(
    open_site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    asked = [{"name": "in", "url": f"http://{open_site.address}/{kind}", "path": str(tmp_path / "in")}]

    assert main([json.dumps(asked)]) == 1
    assert "which is not a regular file or folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_an_archive_runs_as_nobody_else(open_site: Site, tmp_path: Path) -> None:
    asked = [{"name": "in", "url": f"http://{open_site.address}/archive", "path": str(tmp_path / "in")}]

    assert main([json.dumps(asked)]) == 0
    assert (tmp_path / "in" / "file").stat().st_mode & 0o7777 == 0o755


def test_no_address_leads_out_of_the_pod(engine: LocalEngine, hidden_site: Site) -> None:
    port = hidden_site.address.rpartition(":")[2]
    hosts = [f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", f"0.0.0.0:{port}", "169.254.169.254"]
    take = manifest("http://{{inputs.parameters.host}}/data")["spec"]["templates"][0]
    take = {**take, "name": "take", "inputs": {**take["inputs"], **parameters(host=None)}}
    step = {"name": "s", "template": "take", "withItems": hosts, "arguments": parameters(host="{{item}}")}

    status = run(engine, "outside", workflow({"name": "main", "steps": [[step]]}, take))

    pods = [one for one in status.nodes.values() if one["type"] == "Pod"]
    assert ({one["phase"] for one in pods}, len(pods), hidden_site.asked) == ({"Error"}, len(hosts), [])
    assert all("init: Error" in one["message"] for one in pods)


@pytest.mark.parametrize("scheme", ["http", "file", "ftp"])
def test_no_redirect_leads_out_of_the_pod(
    engine: LocalEngine, open_site: Site, hidden_site: Site, tmp_path: Path, scheme: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    open_site.redirect = {
        "http": f"http://{hidden_site.address}/data",
        "file": f"file://{secret}",
        "ftp": f"ftp://{hidden_site.address}/data",
    }[scheme]

    open_site.asked.clear()
    status = run(engine, f"redirected-{scheme}", manifest(f"http://{open_site.address}/redirect"))

    assert (status.phase, open_site.asked, hidden_site.asked) == ("Error", ["/redirect"], [])


@pytest.mark.parametrize("url", ["file:///etc/passwd", "data:text/plain,x", "/etc/passwd", "http:/etc/passwd", ""])
def test_only_addresses_of_http_are_asked(tmp_path: Path, url: str) -> None:
    assert main([json.dumps([{"name": "in", "url": url, "path": str(tmp_path / "in")}])]) == 1

    assert list(tmp_path.iterdir()) == []


def test_one_that_is_optional_may_be_missing(engine: LocalEngine, open_site: Site) -> None:
    url = f"http://{open_site.address}/nothing"

    status = run(engine, "optional", manifest(url, "ls /tmp/in || echo none", optional=True))

    assert (status.phase, text(engine, "optional")) == ("Succeeded", "none")


POLICY = Policy(images=("busybox:*",), artifact_endpoints=None, http_origins=("https://data.example.org",))


@pytest.mark.parametrize(
    "url",
    [
        "https://data.example.org.evil.org/x",
        "https://data.example.org@evil.org/x",
        "https://user@data.example.org/x",
        "https://data.example.org:8443/x",
        "http://data.example.org/x",
        "HTTPS://data.example.org/x",
        "https://data.example.org\\@evil.org/x",
        "https://data.example.org\n.evil.org/x",
        "//data.example.org/x",
        "http://169.254.169.254/latest/meta-data",
        "https://{{workflow.name}}/x",
        "{{=workflow.name}}",
        "https://data.example.org{{workflow.name}}/x",
    ],
)
def test_the_policy_knows_addresses_by_their_origin(url: str) -> None:
    assert [fault.pointer for fault in judge(manifest(url), POLICY, Grant()).faults] == [
        "/spec/templates/0/inputs/artifacts/0/http"
    ]


def test_the_policy_allows_what_is_listed_and_nothing_by_default() -> None:
    listed = manifest("https://data.example.org/some/where?a=b")

    assert judge(listed, POLICY, Grant()).faults == ()
    assert len(judge(listed, replace(POLICY, http_origins=()), Grant()).faults) == 1


@pytest.mark.parametrize(
    "origin", ["http://169.254.169.254", "http://169.254.1.1:80", "data.example.org", "https://x/y"]
)
def test_the_setting_lists_no_link_local_address(settings: Any, origin: str) -> None:
    settings.MANIFEST_HTTP_ARTIFACTS = [origin]

    assert "policy.E005" in {found.id for found in check_settings()}
