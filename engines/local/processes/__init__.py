"""The boundary between pods and the machine: Linux namespaces, ids, system calls and mounts.

All confinement of containers is in this folder; docs/decisions/0008 tells why it is
the project's own. From the outside in: `runner` keeps `sandboxes` (one network namespace each, `slot` is its process
1), which hold `containers` (user, process and mount namespaces, `container_init` is their process 1).
"""

from engines.local.processes.runner import ProcessPodRunner
from engines.local.processes.trial import surroundings

__all__ = ["ProcessPodRunner", "surroundings"]
