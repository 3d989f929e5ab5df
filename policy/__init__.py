"""What a Workflow may ask of the machines it runs on: a table of allowed fields. All other fields are refused.

    verdict = judge(manifest, policy, grant)

`tables` and `pod_tables` say which field may stand where and what it may hold. `forms` says what such a value looks
like. `guarded`, `host_paths` and `patches` check values that need a context: images, Secrets, nodes, data partners'
folders. `rules` holds what differs between installations and between Workflows, `check` applies the table, and `conf`
reads the installation's settings.

The same table is used three times: when a manifest is uploaded (`schemas`), when a Workflow is rendered, and when it
is submitted (`runs`). Only `conf` imports Django, and no module imports Hera.
"""
