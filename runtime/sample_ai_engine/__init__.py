"""A sample AI engine: it learns from tables of patients with scikit-learn and serves an AI engine's HTTP API."""
