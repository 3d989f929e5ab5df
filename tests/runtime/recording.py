"""A real HTTP server that records what it's sent and answers what a test wants."""

import io
import json
import re
import socket
import threading
import zipfile
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from runtime.small_server import SmallServer


@dataclass
class Answer:
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    # Close the connection without any answer.
    drop: bool = False


@dataclass
class File:
    """A file served with HEAD and Range; `breaks` are the bytes after which each GET in turn is cut."""

    content: bytes
    breaks: list[int] = field(default_factory=list)
    head_length: int | None = None
    head_status: int = 200
    ranges: bool = True
    etag: str = ""


def json_answer(document: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(document).encode(), {"Content-Type": "application/json"})


class RecordingServer:
    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._answers: dict[tuple[str, str], list[Answer]] = defaultdict(list)
        self._files: dict[str, File] = {}
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"

    def __enter__(self) -> "RecordingServer":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, path: str, *answers: Answer) -> None:
        """Give these answers in turn; the last one again and again."""
        self._answers[method, path].extend(answers)

    def file(self, path: str, content: bytes, **options: Any) -> None:
        self._files[path] = File(content, **options)

    def of(self, method: str) -> list[str]:
        return [call["path"] for call in self.calls if call["method"] == method]

    def data_of(self, index: int) -> Any:
        """Return the JSON of the part `data` of a call."""
        return json.loads(self.calls[index]["parts"][0]["value"])

    def next_answer(self, method: str, path: str) -> Answer:
        answers = self._answers.get((method, path))
        if not answers:
            return Answer(404, b"not scripted")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def file_at(self, path: str) -> File | None:
        return self._files.get(path)


class _Server(SmallServer):
    def __init__(self, recording: RecordingServer) -> None:
        self.recording = recording
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    def _serve(self) -> None:
        recording = self.server.recording  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        recording.calls.append(_recorded(self.command, self.path, self.headers.get("Content-Type", ""), body))
        recording.headers.append(dict(self.headers.items()))
        file = recording.file_at(self.path)
        if file is not None and self.command in ("GET", "HEAD"):
            self._serve_file(file)
            return
        answer = recording.next_answer(self.command, self.path)
        if answer.drop:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _serve_file(self, file: File) -> None:
        if self.command == "HEAD":
            self.send_response(file.head_status)
            self.send_header("Content-Length", str(len(file.content) if file.head_length is None else file.head_length))
            self.end_headers()
            return
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if file.ranges else None
        start = int(wanted.group(1)) if wanted else 0
        content = file.content[start:]
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(file.content) - 1}/{len(file.content)}")
        if file.etag:
            self.send_header("ETag", file.etag)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: file.breaks.pop(0)] if file.breaks else content)

    do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = do_PUT = _serve

    def log_message(self, *_args: object) -> None:
        pass


def _recorded(method: str, path: str, content_type: str, body: bytes) -> dict[str, Any]:
    """Return a call in the form of captures/step-runner.json."""
    call: dict[str, Any] = {"method": method, "path": path}
    kind, _, rest = content_type.partition(";")
    if not kind:
        return call
    call["content_type"] = kind
    if kind == "application/json":
        call["body"] = json.loads(body)
        return call
    boundary = rest.partition("boundary=")[2].encode()
    call["parts"] = []
    for piece in body.split(b"--" + boundary)[1:-1]:
        head, _, value = piece[2:-2].partition(b"\r\n\r\n")
        shown = "<zip>" if zipfile.is_zipfile(io.BytesIO(value)) else value.decode()
        call["parts"].append({"headers": head.decode().split("\r\n"), "value": shown})
    return call


def zip_of(files: dict[str, bytes | str]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def names_in(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as opened:
        return sorted(opened.namelist())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
