"""A stand-in, in memory, for the service's channel API (docs/reference/channel-api.md)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections import defaultdict
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, Self, cast
from urllib.parse import parse_qs, unquote, urlsplit

from runtime.small_server import SmallServer

TOKEN = "a token"
_CLAIM = re.compile(r"/api/channels/[^/]+/models/([0-9a-f]{64})/")
_PATH = re.compile(r"/api/channels/([^/]+)/(status|models_to_manager|models_to_clients)/messages/(?:(\d+)/content/)?")


@dataclass
class Stored:
    id: str
    key: str
    headers: dict[str, str]
    value: bytes | None


class ChannelService:
    """Serves from `with` to the end of the block; `lose_answers` drops as many answers to POSTs after storing."""

    def __init__(self) -> None:
        self.claims: dict[str, bytes] = {}
        self.topics: dict[tuple[str, str], list[Stored]] = defaultdict(list)
        self.changed = threading.Condition()
        self.lose_answers = 0
        self.breaks: list[int] = []
        self._start(0)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop()

    def restart(self) -> None:
        """Stop and start again; what was stored stays."""
        port = self._server.server_address[1]
        self._stop()
        self._start(port)

    def _start(self, port: int) -> None:
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def _stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(SmallServer):
    def __init__(self, address: tuple[str, int], service: ChannelService) -> None:
        self.service = service
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        service, body = self._service, self.rfile.read(int(self.headers["Content-Length"]))
        found = self._find()
        if found is None:
            return
        (channel, topic, _offset), head = found, self.headers
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        if head.get("Content-Digest") not in (None, f"sha-256=:{digest}:"):
            self._answer(400, {"detail": "another digest"})
            return
        stored = Stored(
            head["Message-Id"],
            unquote(head["Message-Key"]),
            json.loads(unquote(head["Message-Headers"])),
            None if head["Message-Null"] == "true" else body,
        )
        with service.changed:
            messages = service.topics[channel, topic]
            ids = [message.id for message in messages]
            known = stored.id in ids
            if not known:
                messages.append(stored)
                service.changed.notify_all()
            offset = ids.index(stored.id) if known else len(ids)
            if service.lose_answers:
                service.lose_answers -= 1
                self.close_connection = True
                return
        self._answer(200 if known else 201, {"offset": offset})

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        found = _CLAIM.fullmatch(self.path)
        right = found is not None and found.group(1) == hashlib.sha256(body).hexdigest()
        if found is not None and right:
            self._service.claims[found.group(1)] = body
        self._answer(201 if right else 400, {})

    def do_GET(self) -> None:
        if claim := _CLAIM.fullmatch(self.path):
            stored = self._service.claims.get(claim.group(1))
            if stored is None:
                self._answer(404, {"detail": "not found"})
            else:
                self._send_content(stored)
            return
        found = self._find()
        if found is None:
            return
        channel, topic, offset = found
        messages = self._service.topics[channel, topic]
        if offset is not None:
            self._send_content(messages[offset].value or b"")
            return
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        after, limit = int(query["after"]), int(query.get("limit", 100))
        with self._service.changed:
            self._service.changed.wait_for(lambda: len(messages) > after + 1, float(query.get("wait", 0)))
            heads: list[dict[str, Any]] = [
                {
                    "offset": number,
                    "key": message.key,
                    "headers": message.headers,
                    "size": None if message.value is None else len(message.value),
                }
                for number, message in enumerate(messages)
                if number > after
            ]
        self._answer(200, {"results": heads[:limit], "end": len(messages) - 1})

    do_HEAD = do_GET

    def _send_content(self, value: bytes) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted.group(1)) if wanted else 0
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(value) - 1}/{len(value)}")
        self.send_header("ETag", f'"{hashlib.sha256(value).hexdigest()}"')
        self.send_header("Content-Length", str(len(value) - start))
        self.end_headers()
        if self.command == "GET":
            breaks = self._service.breaks
            end = start + breaks.pop(0) if breaks else len(value)
            self.wfile.write(value[start:end])

    @property
    def _service(self) -> ChannelService:
        return cast(_Server, self.server).service

    def _find(self) -> tuple[str, str, int | None] | None:
        found = _PATH.fullmatch(urlsplit(self.path).path)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"detail": "no token"})
        elif found is None:
            self._answer(404, {"detail": "not found"})
        else:
            offset = found.group(3)
            return unquote(found.group(1)), found.group(2), None if offset is None else int(offset)
        return None

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass
