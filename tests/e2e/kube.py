"""Drives a cluster the way a person does: through kubectl."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

import clusters

T = TypeVar("T")
KUBECTL_SECONDS = 60.0


class KubectlError(Exception):
    """kubectl ended with an exit code other than 0; the message is what it wrote to stderr."""

    def __init__(self, arguments: tuple[str, ...], code: int, stderr: str) -> None:
        super().__init__(f"kubectl {' '.join(arguments)}: exit code {code}\n{stderr}")
        self.stderr = stderr


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl as one user, in one namespace where `namespace` is given."""

    kubeconfig: Path
    namespace: str | None = None

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = KUBECTL_SECONDS) -> str:
        """Runs kubectl and returns what it wrote to stdout. Raises KubectlError when it fails."""
        ended = self.run(*arguments, stdin=stdin, timeout=timeout)
        if ended.returncode:
            raise KubectlError(arguments, ended.returncode, ended.stderr)
        return ended.stdout

    def run(
        self, *arguments: str, stdin: str | None = None, timeout: float = KUBECTL_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Runs kubectl, whatever its exit code."""
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=self.environment(),
        )

    def command(self, *arguments: str) -> list[str]:
        """The command line, for those who start it themselves, such as a watch."""
        place = ["--namespace", self.namespace] if self.namespace else []
        return [str(clusters.KUBECTL), *place, *arguments]

    def environment(self) -> dict[str, str]:
        """The environment that points kubectl to this cluster, and its cache beside the kubeconfig."""
        return {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(self.kubeconfig.with_suffix(".cache")),
        }

    def within(self, namespace: str) -> "Kubectl":
        """The same user in another namespace."""
        return replace(self, namespace=namespace)

    def apply(self, text: str, *arguments: str) -> str:
        """`kubectl apply -f -` of YAML text. Raises KubectlError when the API server refuses it."""
        return self("apply", "-f", "-", *arguments, stdin=text)

    def json(self, *arguments: str) -> Any:
        """The parsed output of a command with `-o json`, such as `json("get", "wai", "a")`."""
        return json.loads(self(*arguments, "-o", "json"))

    def exists(self, kind: str, name: str) -> bool:
        """Whether there is such an object. Raises KubectlError when that cannot be told."""
        return bool(self("get", kind, name, "--ignore-not-found", "-o", "name").strip())

    def condition(self, kind: str, name: str, condition: str) -> dict[str, Any]:
        """One condition of an object's status; empty where the object has no such condition."""
        found = self.json("get", kind, name).get("status", {}).get("conditions", [])
        return next((entry for entry in found if entry["type"] == condition), {})


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster of this test run, with an administrator's rights."""

    kubeconfig: Path
    source: clusters.Source

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(self.kubeconfig)

    def kubeconfig_for(self, service_account: str, *, namespace: str, target: Path, hours: int = 2) -> Path:
        """Writes a kubeconfig to `target` that authenticates as a ServiceAccount, with a token valid for some hours."""
        token = self.kubectl.within(namespace)("create", "token", service_account, f"--duration={hours}h").strip()
        config = yaml.safe_load(self.kubeconfig.read_text())
        config["users"] = [{"name": service_account, "user": {"token": token}}]
        for entry in config["contexts"]:
            entry["context"] |= {"user": service_account, "namespace": namespace}
        target.touch(mode=0o600)
        target.write_text(yaml.safe_dump(config))
        return target


def wait_until(
    predicate: Callable[[], T], *, timeout: float = 30.0, every: float = 0.2, message: str = "did not happen"
) -> T:
    """Calls `predicate` until what it returns is true, and returns that. A KubectlError counts as not yet.

    Raises AssertionError after `timeout` seconds, with the last answer or error.
    """
    deadline = time.monotonic() + timeout
    while True:
        last: T | KubectlError
        try:
            last = predicate()
            if last:
                return last
        except KubectlError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{message} within {timeout:.0f} s; last: {last}")
        time.sleep(every)
