"""A small AI engine: a process with a real HTTP server that speaks contracts/ai-engine.md.

`python -m tests.runtime.federated_manager.engine_double '<JSON>'`, JSON = the fields of `Options`. Its model is one
file `weights.txt`: training appends a line, merging writes one line with the clients' last ones, so a test can tell
from the model what became of it. What it was asked for is kept in `calls.jsonl`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import numpy as np
import requests

from runtime.small_server import SmallServer, split_host


@dataclass
class Options:
    """Where it serves and works; times in seconds by use case; `fails` gives use cases their message.

    `size` is the length of a random file beside the weights; `ballast` is a file that's linked there instead, which
    takes no time. With `npz`, a training leaves an archive with the array `w` of these values, and `samples` beside it.
    `unmergeable` are clients whose models it refuses to merge, with the reasons.
    """

    host: str
    folder: str
    name: str
    seconds: dict[str, float] = field(default_factory=dict)
    fails: dict[str, str] = field(default_factory=dict)
    size: int = 0
    ballast: str = ""
    npz: list[Any] | None = None
    samples: Any = None
    metrics: Any = 0.9
    unmergeable: dict[str, str] = field(default_factory=dict)


class EngineDouble(SmallServer):
    def __init__(self, options: Options) -> None:
        super().__init__(split_host(options.host), _Handler)
        self.options = options
        self.folder = Path(options.folder)
        self.runs = 0

    def note(self, call: dict[str, Any]) -> None:
        with (self.folder / "calls.jsonl").open("a") as file:
            file.write(json.dumps(call) + "\n")

    def carry_out(self, use_case: str, callback_url: str) -> None:
        time.sleep(self.options.seconds.get(use_case, 0))
        report: dict[str, Any] = {"SUCCESS": True}
        if use_case in self.options.fails:
            report = {"SUCCESS": False, "message": self.options.fails[use_case]}
        elif use_case == "merging_models" and (named := self._unmergeable()):
            report = {"SUCCESS": False, "message": "some models can't be merged", "clients": named}
        else:
            self._do(use_case)
        requests.post(callback_url, json=report, timeout=30)

    def _unmergeable(self) -> dict[str, str]:
        there = [folder.name.removeprefix("model_") for folder in (self.folder / "models").iterdir()]
        return {client: reason for client, reason in self.options.unmergeable.items() if client in there}

    def _do(self, use_case: str) -> None:
        if use_case == "evaluating_from_pretrained_model":
            metrics = {"evaluation_metrics": [{"name": "auc", "value": self.options.metrics}]}
            (self.folder / "evaluation_metrics.json").write_text(json.dumps(metrics))
            return
        if use_case == "merging_models":
            files = sorted((self.folder / "models").glob("model_*/weights.txt"))
            last = [file.read_text().splitlines()[-1] for file in files]
            text = f"merged({','.join(last)})\n"
        elif use_case == "training_from_scratch":
            text = f"{self.options.name}\n"
        else:
            base = (self.folder / "input" / "weights.txt").read_text() if self.options.npz is None else ""
            text = f"{base}{self.options.name}\n"
        output = self.folder / "output"
        output.mkdir(exist_ok=True)
        (output / "weights.txt").write_text(text)
        if self.options.npz is not None:
            np.savez(output / "model.npz", w=np.array(self.options.npz, np.float64))
        if self.options.samples is not None:
            (output / "model.json").write_text(json.dumps({"samples": self.options.samples}))
        if self.options.ballast:
            os.link(self.options.ballast, output / "ballast.bin")
        elif self.options.size:
            with (output / "ballast.bin").open("wb") as file:
                for _ in range(0, self.options.size, 1 << 20):
                    file.write(os.urandom(min(1 << 20, self.options.size - file.tell())))


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        engine = cast(EngineDouble, self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        call: dict[str, Any] = {"path": self.path, "type": self.headers.get("Content-Type"), "body": body}
        url = urlsplit(self.path)
        if url.path == "/api/end":
            engine.note(call)
            self._answer()
            threading.Thread(target=engine.shutdown).start()
            return
        query = parse_qs(url.query)
        models = engine.folder / "models"
        call["models"] = sorted(entry.name for entry in models.iterdir()) if models.is_dir() else []
        weights = engine.folder / "input" / "weights.txt"
        call["input"] = weights.read_text() if weights.is_file() else None
        engine.note(call)
        self._answer()
        work = (query["use_case"][0], query["callback_url"][0])
        threading.Thread(target=engine.carry_out, args=work, daemon=True).start()

    def _answer(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_arguments: object) -> None:
        pass


if __name__ == "__main__":
    with EngineDouble(Options(**json.loads(sys.argv[1]))) as server:
        server.serve_forever(poll_interval=0.02)
    os._exit(0)
