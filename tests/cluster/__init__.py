"""The Kubernetes API, against a scripted server and a real one."""
