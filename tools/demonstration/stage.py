"""What the story is played on: a cluster, the simulator, the operator, and a kubectl that watches.

Everything lives as long as the block `with stage.opened(...)`, and nothing outlives it. In a cluster that was there
before, the operator keeps to the demonstration's namespace, and what was brought along is removed afterwards.
"""

import base64
import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clusters
from demonstration import facts, installation, manifests, programs
from demonstration.kubectl import Kubectl
from evolution_simulator import control_client
from native import locking, places

FOLDER = places.TREE / ".demo"

SOURCES: Mapping[clusters.Source, str] = {
    clusters.Source.EXISTING: "the current one of your kubeconfig; what is brought along is removed at the end",
    clusters.Source.KIND: "a new one, by kind",
    clusters.Source.NATIVE: "a new control plane of plain processes: etcd, kube-apiserver, kube-controller-manager",
}

Tell = Callable[[str], None]


class StageError(Exception):
    """The demonstration cannot be set up; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where an act began: what came before is no part of it."""

    call: int
    audit: int
    began: float
    ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that the acts play with. `key` is the simulated server's."""

    kubectl: Kubectl
    simulator: control_client.Simulator
    key: str
    operator: programs.Program
    watch: programs.Program

    def mark(self) -> Mark:
        """The beginning of an act, now."""
        calls = self.simulator.calls()
        instances = _by_name(self._resources(), "WhatsAppInstance")
        return Mark(
            call=calls[-1]["number"] if calls else 0,
            audit=len(self._audit()),
            began=time.monotonic(),
            ids={name: facts.instance_id(one) for name, one in instances.items()},
        )

    def look(self, mark: Mark) -> facts.Scene:
        """What can be seen now. Raises ProgramError when the operator has ended."""
        self.operator.check()
        resources = self._resources()
        return facts.Scene(
            instances=_by_name(resources, "WhatsAppInstance"),
            servers=_by_name(resources, "EvolutionServer"),
            calls=self.simulator.calls(since=mark.call),
            audit=self._audit()[mark.audit :],
            seconds=time.monotonic() - mark.began,
            ids=mark.ids,
        )

    def watched(self) -> Sequence[str]:
        """What the kubectl that watches has shown."""
        return self.watch.text().splitlines()

    def code(self, name: str) -> str:
        """The QR code of an instance as text, from the Secret from which a person would take it."""
        values = self.kubectl.json("get", "secret", f"{name}-pairing")["data"]
        return base64.b64decode(values["qr.txt"]).decode()

    def _resources(self) -> Sequence[Any]:
        found: Sequence[Any] = self.kubectl.json("get", "wai,evs")["items"]
        return found

    def _audit(self) -> Sequence[Any]:
        lines = (line for line in self.operator.text().splitlines(keepends=True) if line.endswith("}\n"))
        records = (json.loads(line) for line in lines if '"audit"' in line)
        return [one for one in records if one["logger"] == "audit"]


@contextlib.contextmanager
def opened(tell: Tell) -> Iterator[Stage]:
    """Sets up everything. Raises StageError, or the error of the part that failed."""
    source = clusters.chosen()
    existing = source is clusters.Source.EXISTING
    tell(f"cluster: {SOURCES[source]}")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_own_folder())
        kubectl = Kubectl(stack.enter_context(clusters.opened(f"demo-{os.getpid()}", folder)))
        stack.enter_context(installation.installed(kubectl, removed=existing))
        tell("applied: manifests/, without the Deployment: the operator runs beside the cluster")
        simulator, key = stack.enter_context(programs.simulator(folder))
        tell(f"Evolution API: simulated, as version 2.3.7 behaves, at {simulator.url}")
        operator = stack.enter_context(_operator(kubectl, folder, only=installation.NAMESPACE if existing else None))
        tell(f"operator: running, with the rights of the shipped ClusterRole, as {manifests.USER}")
        tell("spans are shortened for the demo: with the defaults the same takes minutes")
        if existing:
            stack.enter_context(installation.emptied_afterwards(kubectl))
        watch = stack.enter_context(programs.watch(folder, kubectl))
        stack.callback(_finish_undisturbed)
        yield Stage(kubectl, simulator, key, operator, watch)


@contextlib.contextmanager
def _operator(kubectl: Kubectl, folder: Path, *, only: str | None) -> Iterator[programs.Program]:
    """The operator as its own ServiceAccount, with the rights of the shipped ClusterRole and no others."""
    kubeconfig = installation.account(kubectl, folder / "operator.kubeconfig")
    if installation.may_do_everything(kubeconfig):
        raise StageError("the operator's ServiceAccount has an administrator's rights, which it must not have")
    with programs.operator(folder, kubeconfig=kubeconfig, namespace=only) as program:
        yield program


@contextlib.contextmanager
def _own_folder() -> Iterator[Path]:
    """A folder that is this demonstration's alone. It goes at the end; where something went wrong its logs stay."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    holder = locking.try_lock(FOLDER / "lock")
    if holder is None:
        raise StageError("a demonstration is running in this checkout already")
    with holder:
        for left in FOLDER.iterdir():
            if left.name != "lock":
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        try:
            yield FOLDER
        except KeyboardInterrupt:
            shutil.rmtree(FOLDER)
            raise
        shutil.rmtree(FOLDER)


def _finish_undisturbed() -> None:
    """An impatient second Ctrl-C must not leave half of it behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _by_name(resources: Sequence[Any], kind: str) -> Mapping[str, Any]:
    return {one["metadata"]["name"]: one for one in resources if one["kind"] == kind}
