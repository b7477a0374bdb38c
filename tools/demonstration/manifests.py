"""The shipped manifests and examples, adapted at their edges to a demonstration.

What is installed is `manifests/` as it stands, without the Deployment: its image would have to be pulled, so the
operator runs beside the cluster, as the same ServiceAccount. What is applied is `examples/` as it stands, but for where
the server is, its key, and spans that are too long to be watched.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from native import places

EXAMPLES = places.TREE / "examples"
MANIFESTS = places.TREE / "manifests"
ACCOUNT = "whatsapp-operator"
OPERATOR_NAMESPACE = "whatsapp-operator"
USER = f"system:serviceaccount:{OPERATOR_NAMESPACE}:{ACCOUNT}"
SERVER = "main"

SHORT_HEALTH = {
    "checkPeriodSeconds": 2,
    "databasePeriodSeconds": 2,
    "checkTimeoutSeconds": 5,
    "stuckTimeoutSeconds": 3,
    "minHealthySeconds": 5,
}
SHORT_RECOVERY = {"retryDelaySeconds": 1, "stepTimeoutSeconds": 8}

Object = dict[str, Any]


def installation(rendered: str) -> Sequence[Object]:
    """What `kubectl kustomize manifests` gave, without the Deployment."""
    return [one for one in yaml.safe_load_all(rendered) if one["kind"] != "Deployment"]


def example(file: str, names: Sequence[str], *, url: str, key: str) -> Sequence[Object]:
    """The objects of an example that have one of `names`, or all where there are none, for the server at `url`."""
    objects = yaml.safe_load_all((EXAMPLES / file).read_text())
    return [_adapted(one, url=url, key=key) for one in objects if not names or one["metadata"]["name"] in names]


def _adapted(one: Object, *, url: str, key: str) -> Object:
    one["metadata"].pop("namespace", None)
    match one["kind"]:
        case "Secret" if "apikey" in one["stringData"]:
            one["stringData"]["apikey"] = key
        case "EvolutionServer":
            one["spec"] |= {"url": url, "health": SHORT_HEALTH, "recovery": SHORT_RECOVERY}
        case "WhatsAppInstance":
            one["spec"]["serverRef"] = {"name": SERVER}
        case _:
            pass
    return one


def account_kubeconfig(administrator: str, *, token: str, namespace: str) -> str:
    """A kubeconfig for the same cluster that acts as the operator's ServiceAccount."""
    config: Mapping[str, Any] = yaml.safe_load(administrator)
    users = [{"name": ACCOUNT, "user": {"token": token}}]
    contexts = [
        entry | {"context": entry["context"] | {"user": ACCOUNT, "namespace": namespace}}
        for entry in config["contexts"]
    ]
    return yaml.safe_dump({**config, "users": users, "contexts": contexts})
