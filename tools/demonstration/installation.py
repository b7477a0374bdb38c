"""The operator's installation in a cluster: definitions, ServiceAccount and roles, as `manifests/` ships them.

In a cluster that was there before, nothing is taken over: where the operator is installed already, or an earlier
demonstration was not cleaned up, this one refuses to begin.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from demonstration import manifests
from demonstration.kubectl import Kubectl
from native import places

NAMESPACE = "whatsapp-demo"
CRDS = places.TREE / "crds"
TOKEN_HOURS = 24
DELETION_SECONDS = 50


class OccupiedError(Exception):
    """The cluster is in use already; the message says by what, and what to do."""


@contextlib.contextmanager
def installed(kubectl: Kubectl, *, removed: bool) -> Iterator[None]:
    """Installs all but the Deployment, and makes the namespace of the demonstration the current one.

    Where `removed`, all of it is removed afterwards but the definitions: others may have come to use them.
    Raises OccupiedError.
    """
    for name in (NAMESPACE, manifests.OPERATOR_NAMESPACE):
        if kubectl.succeeds("get", "namespace", name):
            raise OccupiedError(f"the namespace {name} exists already; delete it, or choose another cluster by CLUSTER")
    objects = manifests.installation(kubectl("kustomize", str(manifests.MANIFESTS)))
    with contextlib.ExitStack() as stack:
        if removed:
            stack.callback(_remove, kubectl, objects)
        kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(objects))
        kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        kubectl("create", "namespace", NAMESPACE)
        kubectl("config", "set-context", "--current", f"--namespace={NAMESPACE}")
        yield


def _remove(kubectl: Kubectl, objects: Sequence[manifests.Object]) -> None:
    place = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    ours = [place, *(one for one in objects if one["kind"] != "CustomResourceDefinition")]
    kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=yaml.safe_dump_all(ours))


@contextlib.contextmanager
def emptied_afterwards(kubectl: Kubectl) -> Iterator[None]:
    """Deletes the demonstration's namespace, while the operator still runs and releases what it holds."""
    try:
        yield
    finally:
        kubectl("delete", "namespace", NAMESPACE, f"--timeout={DELETION_SECONDS}s")


def account(kubectl: Kubectl, target: Path) -> Path:
    """Writes a kubeconfig that acts as the operator's ServiceAccount to `target`, and returns `target`."""
    place = f"--namespace={manifests.OPERATOR_NAMESPACE}"
    token = kubectl("create", "token", manifests.ACCOUNT, place, f"--duration={TOKEN_HOURS}h").strip()
    administrator = kubectl.kubeconfig.read_text()
    target.touch(mode=0o600)
    target.write_text(manifests.account_kubeconfig(administrator, token=token, namespace=NAMESPACE))
    return target


def may_do_everything(kubeconfig: Path) -> bool:
    """Whether the user of a kubeconfig has an administrator's rights."""
    return Kubectl(kubeconfig).succeeds("auth", "can-i", "*", "*", "--all-namespaces")
