"""The shipped Schemas: typed builders, and the manifests that they build, committed as golden files.

This package does not import the rest of the project. Only `templates.build` and what it imports need Hera; the service
reads the golden files through `templates.shipped`.
"""
