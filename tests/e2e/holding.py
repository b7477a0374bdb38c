"""Holds one user's changes of workloads on their way through the API server, as an admission webhook that hangs.

So a client dies between what it wrote before and a change that never takes place.
"""

import base64
import contextlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from e2e import kube, tls

LONGEST_SECONDS = 25


@dataclass
class Gate:
    """What became of the changes."""

    arrived: threading.Event = field(default_factory=threading.Event)
    """One is held."""
    over: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def workload_changes(kubectl: kube.Kubectl, trusted: tls.Authority, *, by: str) -> Iterator[Gate]:
    """Hold every change of a Deployment or StatefulSet that the ServiceAccount `by` asks for in this namespace.

    Until the block ends; what is held then is refused.
    """
    gate = Gate()
    with _listening(gate, trusted) as url:
        kubectl.apply(yaml.safe_dump(_configuration(str(kubectl.namespace), url, trusted, by=by)))
        try:
            yield gate
        finally:
            kubectl("delete", "validatingwebhookconfiguration", str(kubectl.namespace))
            gate.over.set()


@contextlib.contextmanager
def _listening(gate: Gate, trusted: tls.Authority) -> Iterator[str]:
    class Held(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            gate.arrived.set()
            gate.over.wait(LONGEST_SECONDS)
            self.close_connection = True  # without an answer: the API server takes that for a failure

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Held)
    server.daemon_threads = True
    server.socket = trusted.context().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _configuration(namespace: str, url: str, trusted: tls.Authority, *, by: str) -> object:
    user = f"system:serviceaccount:{namespace}:{by}"
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"]}
    webhook = {
        "name": "held.whatsapp-operator.dev",
        "clientConfig": {"url": url, "caBundle": base64.b64encode(trusted.certificate.read_bytes()).decode()},
        "rules": [rule | {"resources": ["deployments", "statefulsets"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "matchConditions": [{"name": "user", "expression": f"request.userInfo.username == '{user}'"}],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "timeoutSeconds": LONGEST_SECONDS,
        "admissionReviewVersions": ["v1"],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [webhook],
    }
