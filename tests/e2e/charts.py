"""The chart, in the hands of the real helm."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from native import binaries, places

CHART = places.TREE / "helm" / "whatsapp-operator"
RELEASE = "whatsapp-operator"
HELM_SECONDS = 180.0

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Helm:
    """helm as one user, or as nobody: rendering needs no cluster."""

    kubeconfig: Path = Path("/dev/null")

    def __call__(self, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        """Runs helm with these values and returns what it wrote to stdout. Raises AssertionError when it fails."""
        ended = self.run(*arguments, values=values)
        assert ended.returncode == 0, f"helm {' '.join(arguments)}: {ended.stderr}"
        return ended.stdout

    def run(self, *arguments: str, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        """Runs helm, whatever its exit code."""
        given = () if values is None else ("--values", "-")
        return subprocess.run(
            [str(binaries.HELM.path("helm")), *arguments, *given],
            input=None if values is None else yaml.safe_dump(dict(values)),
            capture_output=True,
            text=True,
            timeout=HELM_SECONDS,
            check=False,
            env=self._environment(),
        )

    def render(self, values: Mapping[str, Any] | None = None, *, namespace: str = RELEASE) -> list[Object]:
        """What the chart is made into. Raises AssertionError where helm refuses the values."""
        text = self("template", RELEASE, str(CHART), f"--namespace={namespace}", values=values or {})
        return [one for one in yaml.safe_load_all(text) if one]

    def _environment(self) -> dict[str, str]:
        """Nothing that this user has set up for a helm of their own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HELM_")}
        return {**kept, "KUBECONFIG": str(self.kubeconfig)}


def copied(folder: Path) -> Path:
    """A copy of the chart in a new folder, for a test that needs another one than is shipped."""
    return Path(shutil.copytree(CHART, folder))
