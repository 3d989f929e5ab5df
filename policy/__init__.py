"""What a Workflow may ask of the machines it runs on: a table of allowed fields, and nothing beside it.

    verdict = judge(manifest, policy, grant)

`tables` and `pod_tables` say which field may stand where and what it may hold, `forms` what such a value looks like;
`guarded`, `host_paths` and `patches` hold what needs more than a look: images, Secrets, nodes, partners' folders.
`rules` has what differs between installations and between Workflows, `check` applies all of it, `conf` reads the
installation's settings.

The same table is used three times: when a manifest is uploaded (`schemas`), when a Workflow was rendered, and when it
is submitted (`runs`), by whoever submits. Nothing here but `conf` knows Django, and nothing knows Hera.
"""
