"""Checks whether an uploaded file is a Workflow that this service may run.

`policy.reading` reads the file. `shape` checks it by Hera's models, `parameters` by the parameters that the
orchestrator provides, and the package `policy` by what a manifest may ask for. `checking` does all of it, and `process`
runs `checking` in its own process. Only `process` imports Django, and only `shape` imports Hera.
"""
