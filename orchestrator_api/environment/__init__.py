"""The settings, as environment variables give them: one table, how its values are read, and what is told of wrong ones.

`table.py` lists every variable; docs/reference/configuration.md is generated from it (`page.py`).
"""
