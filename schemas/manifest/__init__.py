"""Is an uploaded file a Workflow that we are willing to run?

`reading` takes the YAML apart, `shape` holds it against Hera's models, `parameters` and `policy` against what the
orchestrator gives and allows; `checking` does all of it, and `process` does that in a process of its own. Nothing
here knows Django but `process`, and nothing but `shape` knows Hera.
"""
