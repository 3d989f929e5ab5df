"""The Schemas this project ships: typed builders, and the manifests that they built, committed as golden files.

Nothing here imports the rest of the project. Only `templates.build` and what it imports need Hera; the service reads
the golden files through `templates.shipped`.
"""
