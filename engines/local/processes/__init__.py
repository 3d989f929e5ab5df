"""The boundary between pods and the machine: Linux namespaces, ids, system calls and mounts.

Everything that keeps a container in is in this folder, and every line of it counts; docs/decisions/0008 says why it is
ours. From the outside in: `runner` keeps `sandboxes` (one network namespace each, `slot` is its process 1), which hold
`containers` (user, process and mount namespaces, `container_init` is their process 1).
"""

from engines.local.processes.runner import ProcessPodRunner
from engines.local.processes.trial import surroundings

__all__ = ["ProcessPodRunner", "surroundings"]
