"""A Kubernetes API server as far as this operator uses one: shown equal to the real one by tests/simulation."""
