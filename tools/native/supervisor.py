"""Runs one control plane until it is told to stop, until its owner is gone, or until one of its programs ends.

The supervisor holds a lock for as long as it lives: whether a control plane runs is read from that lock, never guessed
from a process number. What others need to know it writes to `state.json` once, when everything answers.
"""

import json
import os
import shutil
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

from native import binaries, certificates, components, locking, places

READY_SECONDS = 120.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.1
TAIL_LINES = 25


class ControlPlaneError(Exception):
    """The control plane cannot do what was asked; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class State:
    """What a running control plane tells about itself."""

    name: str
    pid: int
    url: str
    kubeconfig: str
    logs: str


@dataclass(slots=True)
class Supervisor:
    """One control plane in `folder`; `owner` is the process it must not outlive, if any; `audits` logs requests.

    With `nodes` above 0 it has as many nodes, played by kwok, and with `schedules` a scheduler that fills them.
    """

    name: str
    folder: Path
    owner: int | None = None
    audits: bool = False
    nodes: int = 0
    schedules: bool = False
    _running: list[tuple[components.Component, subprocess.Popen[bytes]]] = field(default_factory=list)
    _stopping: bool = False

    def run(self) -> None:
        """Returns after an orderly stop, with nothing left of the folder.

        Raises ControlPlaneError when a program ended by itself or never got ready; the logs stay then.
        """
        holder = locking.try_lock(self.folder.with_suffix(".lock"))
        if holder is None:
            raise ControlPlaneError(f"the control plane {self.name!r} is running already")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop_asked)
        with holder:
            try:
                self._start()
                self._watch()
            finally:
                self._stop()
            erase(self.folder)

    def _start(self) -> None:
        programs = binaries.locate(nodes=self.nodes > 0, scheduler=self.schedules)
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)
        logs = self.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        keys = self.folder / "keys"
        issuer, administrator = certificates.write(keys)
        port, etcd_port, peer_port = components.free_ports(3)
        url = f"https://127.0.0.1:{port}"
        kubeconfig = self.folder / "kubeconfig"
        _write_private(kubeconfig, certificates.kubeconfig(name=self.name, url=url, issuer=issuer, user=administrator))
        self._launch(
            components.etcd(programs.etcd, data=self.folder / "etcd", port=etcd_port, peer_port=peer_port), logs
        )
        audit_log = logs / "audit.log" if self.audits else None
        api = components.apiserver(programs.apiserver, keys=keys, port=port, etcd_port=etcd_port, audit_log=audit_log)
        self._launch(api, logs)
        self._wait_for(lambda: _answers(f"{url}/readyz", keys / "ca.crt"), "the API server did not get ready")
        self._launch(components.controller_manager(programs.controller_manager, kubeconfig=kubeconfig), logs)
        if self.nodes:
            self._launch(components.kwok(programs.kwok, kubeconfig=kubeconfig), logs)
            self._add_nodes(kubeconfig)
        if self.schedules:
            self._open_nodes(kubeconfig)
            self._launch(components.scheduler(programs.scheduler, kubeconfig=kubeconfig), logs)
        state = State(self.name, os.getpid(), url, str(kubeconfig), str(logs))
        _write_private(self.folder / "state.json", json.dumps(asdict(state)))

    def _launch(self, component: components.Component, logs: Path) -> None:
        self._running.append((component, component.start(logs)))

    def _add_nodes(self, kubeconfig: Path) -> None:
        wanted = {"apiVersion": "v1", "kind": "List", "items": [components.node(n + 1) for n in range(self.nodes)]}
        created = _kubectl(kubeconfig, "create", "-f", "-", text=json.dumps(wanted))
        if created.returncode:
            raise ControlPlaneError(f"the nodes could not be created:\n{created.stderr}")
        ready = ("wait", "nodes", "--all", "--for=condition=Ready", "--timeout=1s")
        self._wait_for(lambda: _kubectl(kubeconfig, *ready).returncode == 0, "the nodes did not get ready")

    def _open_nodes(self, kubeconfig: Path) -> None:
        """Admission taints each new node, and the controller that takes the taint away again does not run here."""
        opened = _kubectl(kubeconfig, "taint", "nodes", "--all", "node.kubernetes.io/not-ready-")
        if opened.returncode:
            raise ControlPlaneError(f"the nodes could not be opened for pods:\n{opened.stderr}")

    def _wait_for(self, ready: Callable[[], bool], message: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not ready() and not self._must_end():
            if time.monotonic() > deadline:
                raise ControlPlaneError(f"{message} within {READY_SECONDS:.0f} s; logs: {self.folder / 'logs'}")
            time.sleep(POLL_SECONDS)

    def _watch(self) -> None:
        while not self._must_end():
            time.sleep(POLL_SECONDS)

    def _must_end(self) -> bool:
        for component, process in self._running:
            if not self._stopping and process.poll() is not None:
                raise ControlPlaneError(
                    f"{component.name} ended with exit code {process.returncode}; its last lines:\n"
                    + tail(self.folder / "logs" / f"{component.name}.log")
                )
        return self._stopping or (self.owner is not None and not _lives(self.owner))

    def _stop_asked(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _stop(self) -> None:
        """Ends the programs, the last one started first. Nothing is worth waiting long for: the data is thrown away."""
        for _, process in reversed(self._running):
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        (self.folder / "state.json").unlink(missing_ok=True)


def erase(folder: Path) -> None:
    """Removes what a control plane has left: its folder and its locks."""
    shutil.rmtree(folder, ignore_errors=True)
    for lock in (".lock", ".start.lock"):
        folder.with_suffix(lock).unlink(missing_ok=True)


def tail(log: Path) -> str:
    """The last lines of a log, cut to a readable width."""
    lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:] if log.exists() else []
    return "\n".join(f"  {line[:300]}" for line in lines)


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(text)
    temporary.replace(path)


def _kubectl(kubeconfig: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(places.KUBECTL), f"--kubeconfig={kubeconfig}", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=READY_SECONDS)


def _answers(url: str, authority: Path) -> bool:
    context = ssl.create_default_context(cafile=str(authority))
    try:
        with urllib.request.urlopen(url, timeout=2, context=context) as reply:  # noqa: S310 - always https, of our own
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
