"""Pods as sandboxes of Linux namespaces: processes, loopback and files of their own, without a container runtime."""

from engines.local.processes.runner import ProcessPodRunner
from engines.local.processes.trial import surroundings

__all__ = ["ProcessPodRunner", "surroundings"]
