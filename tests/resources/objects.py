"""Objects as the Kubernetes API gives them, for the tests of this folder."""

from typing import Any

Body = dict[str, Any]


def instance_body(name: str = "shop", *, status: object = None, **spec: object) -> Body:
    return _body("WhatsAppInstance", name, {"serverRef": {"name": "main"}} | spec, status)


def server_body(name: str = "main", *, status: object = None, **spec: object) -> Body:
    least = {"url": "http://evolution-api:8080", "apiKeySecretRef": {"name": "evolution-api"}}
    return _body("EvolutionServer", name, least | spec, status)


def _body(kind: str, name: str, spec: Body, status: object) -> Body:
    metadata = {"name": name, "namespace": "messaging", "uid": "u-1", "generation": 3}
    body = {"apiVersion": "whatsapp-operator.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    return body if status is None else body | {"status": status}
