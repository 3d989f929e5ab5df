"""Is an uploaded file a Workflow that we are willing to run?

`shape` holds what `policy.reading` reads against Hera's models, `parameters` against what the orchestrator gives, and
the room `policy` against what may be asked for; `checking` does all of it, and `process` does that in a process of its
own. Nothing here knows Django but `process`, and nothing but `shape` knows Hera.
"""
