"""kubectl, as the person who watches the demonstration would use it."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clusters

TIMEOUT_SECONDS = 60.0


class KubectlError(Exception):
    """kubectl ended with an exit code other than 0; the message is what it wrote to stderr."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl with a kubeconfig; the namespace is that of its context."""

    kubeconfig: Path

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Runs kubectl and returns what it wrote to stdout. Raises KubectlError when it fails."""
        ended = self._run(arguments, stdin)
        if ended.returncode:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {ended.stderr.strip()}")
        return ended.stdout

    def succeeds(self, *arguments: str) -> bool:
        """Whether kubectl ends with exit code 0."""
        return self._run(arguments, None).returncode == 0

    def json(self, *arguments: str) -> Any:
        """The parsed output of a command with `-o json`."""
        return json.loads(self(*arguments, "-o", "json"))

    def command(self, *arguments: str) -> Sequence[str]:
        """The command line, for a kubectl that goes on running."""
        return (str(clusters.KUBECTL), f"--kubeconfig={self.kubeconfig}", *arguments)

    def _run(self, arguments: Sequence[str], stdin: str | None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            env=self._environment(),
        )

    def _environment(self) -> Mapping[str, str]:
        return {**os.environ, "KUBECACHEDIR": str(self.kubeconfig.with_suffix(".cache"))}
