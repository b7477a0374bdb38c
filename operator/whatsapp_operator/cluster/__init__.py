"""The Kubernetes API: the watch, the calls, the login, and what must be in place before the operator starts."""
