"""A throw-away Kubernetes API server: etcd and kube-apiserver as plain processes at free ports of the loopback address.

Nothing else of a cluster runs: no controller manager (no garbage collection, no default service accounts), no
scheduler, no kubelet. What those would do, tests do.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import urllib3
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.services.api import Api, ApiError
from tests.services.certificates import Authority, write_key

PROGRAM = Path(os.environ.get("CLUSTER_HOME") or Path.home() / ".cache/orchestrator-cluster") / "bin/kube-apiserver"
MISSING = f"{PROGRAM} or etcd is missing: `make test-kubernetes` prepares and runs these tests."
# A machine that builds something else at the same time is slow.
PATIENCE_SECONDS = 120.0
WORKFLOWS = "/apis/argoproj.io/v1alpha1/namespaces/{namespace}/workflows"

# As Argo's own minimal manifests have it: whatever fields, and no status subresource.
# https://github.com/argoproj/argo-workflows/blob/v4.1.2/manifests/base/crds/minimal/argoproj.io_workflows.yaml
WORKFLOW_CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "workflows.argoproj.io"},
    "spec": {
        "group": "argoproj.io",
        "names": {
            "kind": "Workflow",
            "listKind": "WorkflowList",
            "plural": "workflows",
            "shortNames": ["wf"],
            "singular": "workflow",
        },
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["metadata", "spec"],
                        "properties": {
                            "apiVersion": {"type": "string"},
                            "kind": {"type": "string"},
                            "metadata": {"type": "object"},
                            "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


class ServerMissing(Exception):
    """A program that makes the API server is not installed."""


class _PortTaken(Exception):
    """Somebody took a port between its choice and its use."""


class ApiServer:
    """An API server with RBAC and the Workflow CRD, from `with` to the end of the block.

    `api` speaks to it as an administrator, `kubeconfig` is a file for others who do, and `authority` signed its
    certificate. Raises `ServerMissing` where it is not installed.
    """

    def __init__(self) -> None:
        self.server = ""
        self.token = secrets.token_hex(16)
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> ApiServer:
        etcd = shutil.which("etcd")
        if etcd is None or not PROGRAM.exists():
            raise ServerMissing(MISSING)
        self.folder = Path(tempfile.mkdtemp(prefix="orchestrator-kubernetes-"))
        try:
            self.authority = Authority(self.folder)
            self._write_credentials()
            self._start_until_ports_are_free(etcd)
            self.api = Api(self.server, self.authority.certificate, self.token)
            self.kubeconfig = self.write_kubeconfig("admin", token=self.token)
            self._install_crd()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.api.close()
        self.stop()

    def stop(self) -> None:
        """End the processes and remove their folder."""
        self._end_processes()
        shutil.rmtree(self.folder, ignore_errors=True)

    def write_kubeconfig(self, name: str, *, token: str, server: str = "", namespace: str = "default") -> Path:
        """Write a kubeconfig for whoever has a token, to this server or to a proxy before it; return its path."""
        user, cluster = {"token": token}, {"server": server or self.server}
        path = self.folder / f"{name}.kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "test", "cluster": {**cluster, "certificate-authority": str(self.authority.certificate)}}
            ],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name, "namespace": namespace}}],
            "current-context": "test",
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config))
        return path

    def make_namespace(self) -> str:
        """Make a namespace that nobody else uses, and return its name."""
        name = f"test-{secrets.token_hex(4)}"
        self.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def forget_history(self) -> None:
        """Have etcd drop all but the present state, so that list continuations from before end with 410."""
        with urllib3.PoolManager(retries=False, timeout=30.0) as pool:
            answer = pool.request("POST", f"{self._etcd}/v3/kv/range", body=json.dumps({"key": "AA=="}))
            revision = json.loads(answer.data)["header"]["revision"]
            pool.request("POST", f"{self._etcd}/v3/kv/compaction", body=json.dumps({"revision": revision}))

    # How it starts.

    def _write_credentials(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        write_key(self.folder / "accounts.key", key)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (self.folder / "accounts.pub").write_bytes(public)
        tokens = self.folder / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(f"{self.token},admin,admin,system:masters\n")
        self._certificate = self.authority.issue("kube-apiserver")

    def _start_until_ports_are_free(self, etcd: str) -> None:
        for _ in range(3):
            try:
                self._start(etcd)
                return
            except _PortTaken:
                self._end_processes()
        raise RuntimeError(f"etcd and kube-apiserver do not start:\n{self._last_words()}")

    def _start(self, etcd: str) -> None:
        client, peer, secure = _free_ports(3)
        self._etcd = f"http://127.0.0.1:{client}"
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)
        self._run(
            "etcd", [
                etcd, "--data-dir", str(self.folder / "etcd"), "--unsafe-no-fsync",
                "--listen-client-urls", self._etcd, "--advertise-client-urls", self._etcd,
                "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                "--initial-cluster", f"default=http://127.0.0.1:{peer}",
            ],
        )  # fmt: skip
        self.server = f"https://127.0.0.1:{secure}"
        self._run(
            "kube-apiserver", [
                str(PROGRAM), f"--etcd-servers={self._etcd}", f"--secure-port={secure}",
                "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
                f"--tls-cert-file={self._certificate.certificate}", f"--tls-private-key-file={self._certificate.key}",
                f"--token-auth-file={self.folder}/tokens.csv", f"--cert-dir={self.folder}/certificates",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={self.folder}/accounts.pub",
                f"--service-account-signing-key-file={self.folder}/accounts.key",
                "--service-cluster-ip-range=10.96.0.0/24", "--authorization-mode=RBAC", "--allow-privileged=true",
                # Nobody here makes the service account that this plug-in asks of every pod.
                "--disable-admission-plugins=ServiceAccount",
                # Debian's etcd 3.4 tells no progress of a watch, which the first waits for; without the second, a
                # list's next page can be asked for too late, as elsewhere.
                "--feature-gates=WatchList=false,ListFromCacheSnapshot=false",
            ],
        )  # fmt: skip
        api = Api(self.server, self.authority.certificate, self.token)
        self._wait(lambda: _is_ready(api), "kube-apiserver is not ready")
        api.close()

    def _run(self, name: str, command: list[str]) -> None:
        # What a killed test run leaves behind ends with it.
        if setpriv := shutil.which("setpriv"):
            command = [setpriv, "--pdeathsig", "KILL", *command]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self._processes.append(process)

    def _wait(self, what: Callable[[], bool], message: str) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            if what():
                return
            if any(process.poll() is not None for process in self._processes):
                raise _PortTaken
            time.sleep(0.1)
        raise RuntimeError(f"{message}:\n{self._last_words()}")

    def _install_crd(self) -> None:
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        self.api.post(path, WORKFLOW_CRD)

        def served() -> bool:
            try:
                self.api.get(WORKFLOWS.format(namespace="default"))
            except ApiError as error:
                if error.status != 404:
                    raise
                return False
            return True

        self._wait(served, "The Workflow CRD is not served")

    def _last_words(self) -> str:
        logs = [self.folder / "etcd.log", self.folder / "kube-apiserver.log"]
        return "\n".join(log.read_text(errors="replace")[-1500:] for log in logs if log.exists())

    def _end_processes(self) -> None:
        # The API server first: it would wait for etcd.
        while self._processes:
            process = self._processes.pop()
            process.kill()
            process.wait(PATIENCE_SECONDS)


def _is_ready(api: Api) -> bool:
    try:
        api.get("/readyz")
    except (ApiError, urllib3.exceptions.HTTPError):
        return False
    return True


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()
