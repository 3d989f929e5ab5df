"""The port through which the orchestrator runs Workflows, and its implementations.

`engines.base` is the port; `engines.local` runs Workflows as processes on this machine, `engines.argo` on Kubernetes,
and `engines.recording` is a double that ships. Nothing here imports Django models or another package of the project.
"""
