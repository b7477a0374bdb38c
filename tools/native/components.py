"""The programs of a control plane and the flags that make them small, quick and strict.

Storage skips fsync, since its data lives only as long as its folder. The API server verifies TLS both ways and
authorises by RBAC alone. The controller manager runs the three controllers without which a cluster cannot be cleaned
up (without them namespaces stay Terminating, owner references are never collected, and namespaces lack their `default`
ServiceAccount), and the three that roll Deployments and StatefulSets out, which cost nothing where there are none.
kwok plays the kubelets of nodes that exist as objects only. The scheduler runs where pods come that name no node.
"""

import ctypes
import random
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from native import places

PORTS = range(20_000, 32_000)
"""Below the range from which the kernel picks the ports of outgoing connections."""
CONTROLLERS = (
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
)
STAGES = places.TREE / "tools" / "kwok" / "pods.yaml"
"""What becomes of a pod, and when: read by kwok."""
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Component:
    """A program to run: its name is the name of its log, too."""

    name: str
    command: tuple[str, ...]

    def start(self, logs: Path) -> subprocess.Popen[bytes]:
        """Starts the program, its output in `logs`. It dies with this process, even where that is killed."""
        with (logs / f"{self.name}.log").open("ab") as log:
            return subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has no other thread
            )


def etcd(binary: Path, *, data: Path, port: int, peer_port: int) -> Component:
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    flags = {
        "name": "development",
        "data-dir": str(data),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"development={peer}",
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }
    return Component("etcd", (str(binary), *_arguments(flags)))


def apiserver(binary: Path, *, keys: Path, port: int, etcd_port: int, audit_log: Path | None = None) -> Component:
    """The API server; with `audit_log` it writes down who asked for what, by the policy in its keys' folder."""
    flags = {
        "etcd-servers": f"http://127.0.0.1:{etcd_port}",
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "secure-port": str(port),
        "endpoint-reconciler-type": "none",
        "service-cluster-ip-range": "10.0.0.0/24",
        "tls-cert-file": str(keys / "apiserver.crt"),
        "tls-private-key-file": str(keys / "apiserver.key"),
        "client-ca-file": str(keys / "ca.crt"),
        "service-account-issuer": f"https://127.0.0.1:{port}",
        "service-account-key-file": str(keys / "tokens.pub"),
        "service-account-signing-key-file": str(keys / "tokens.key"),
        "authorization-mode": "RBAC",
        "allow-privileged": "true",
        "profiling": "false",
    }
    if audit_log is not None:
        flags |= {"audit-policy-file": str(write_audit_policy(keys)), "audit-log-path": str(audit_log)}
    return Component("kube-apiserver", (str(binary), *_arguments(flags)))


def write_audit_policy(folder: Path) -> Path:
    """A policy that notes each request once it is answered, without bodies."""
    policy = folder / "audit-policy.yaml"
    policy.write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n")
    return policy


def controller_manager(binary: Path, *, kubeconfig: Path) -> Component:
    flags = {
        "kubeconfig": str(kubeconfig),
        "controllers": ",".join(CONTROLLERS),
        "leader-elect": "false",
        "secure-port": "0",
        "kube-api-qps": "200",
        "kube-api-burst": "400",
        "profiling": "false",
    }
    return Component("kube-controller-manager", (str(binary), *_arguments(flags)))


def kwok(binary: Path, *, kubeconfig: Path) -> Component:
    """What plays the nodes. It opens no port: nobody asks these nodes for logs."""
    flags = {
        "kubeconfig": str(kubeconfig),
        "config": str(STAGES),
        "manage-all-nodes": "true",
        "node-port": "0",
    }
    return Component("kwok", (str(binary), *_arguments(flags)))


def scheduler(binary: Path, *, kubeconfig: Path) -> Component:
    """What gives pods a node that do not name one."""
    flags = {
        "kubeconfig": str(kubeconfig),
        "leader-elect": "false",
        "secure-port": "0",
        "profiling": "false",
    }
    return Component("kube-scheduler", (str(binary), *_arguments(flags)))


def node(number: int) -> dict[str, Any]:
    """A Node object for kwok to play, `node-1` and on; pods get there by their `nodeName`, or by the scheduler."""
    name = f"node-{number}"
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def free_ports(count: int) -> list[int]:
    """As many different ports of the loopback address as asked for, free at this moment."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if len(found) == count:
            break
        if _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _arguments(flags: dict[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in flags.items()]


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
