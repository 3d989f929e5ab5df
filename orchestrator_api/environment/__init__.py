"""The settings as environment variables: one table, how values are read, and what is reported of wrong ones.

`table.py` lists every variable; docs/reference/configuration.md is generated from it (`page.py`).
"""
