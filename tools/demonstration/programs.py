"""The processes of the demonstration: the simulator, the operator, and a kubectl that watches.

Each writes to a file of its own, which is read from there, so that no thread is needed. Each has a session of its own,
so that a Ctrl-C at the terminal reaches the demonstration alone, which ends them in order; and each dies with it, even
where it is killed.
"""

import contextlib
import ctypes
import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from demonstration import manifests
from demonstration.kubectl import Kubectl
from evolution_simulator import control_client
from native import components, places

BIN = places.TREE / ".venv" / "bin"
START_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1

SHORT_SPANS = (
    "--sweep-period-seconds=5",
    "--status-period-seconds=1",
    "--absence-seconds=2",
    "--stable-close-seconds=2",
    "--stable-close-samples=20",
    "--reachable-seconds=5",
    "--qr-wait-seconds=5",
    "--warm-up-growth-seconds=3",
    "--orphan-release-seconds=4",
    "--delete-retry-seconds=2",
    "--recreate-wait-seconds=5",
)
"""What takes the operator half a minute or more with its defaults takes seconds here."""


class ProgramError(Exception):
    """A program of the demonstration did not start, or ended by itself; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Program:
    """A process, and the file that holds what it writes."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    def text(self) -> str:
        """All that it has written."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self, lines: int = 30) -> str:
        """Its last words."""
        return "\n".join(self.text().splitlines()[-lines:])

    def check(self) -> None:
        """Raises ProgramError when it has ended."""
        code = self.process.poll()
        if code is not None:
            raise ProgramError(f"{self.name} ended with exit code {code}; its last lines:\n{self.tail()}")

    def line_with(self, words: str) -> str:
        """Its first line with these words in it, waited for. Raises ProgramError."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for line in self.text().splitlines(keepends=True):
                if words in line and line.endswith("\n"):
                    return line
            self.check()
            time.sleep(POLL_SECONDS)
        raise ProgramError(f"{self.name} did not start within {START_SECONDS:.0f} s; its last lines:\n{self.tail()}")


@contextlib.contextmanager
def running(name: str, command: Sequence[str], folder: Path) -> Iterator[Program]:
    """A program for as long as the block lasts."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has no other thread
        )
    try:
        yield Program(name, log, process)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def simulator(folder: Path) -> Iterator[tuple[control_client.Simulator, str]]:
    """A simulated Evolution API server, and its key."""
    key = secrets.token_urlsafe(16)
    command = (str(BIN / "evolution-simulator"), "--port=0", f"--api-key={key}")
    with running("simulator", command, folder) as program:
        where = json.loads(program.line_with('"control"'))
        client = control_client.Simulator(where["control"], url=where["url"])
        with contextlib.closing(client):
            client.no_races()
            yield client, key


@contextlib.contextmanager
def operator(folder: Path, *, kubeconfig: Path, namespace: str | None) -> Iterator[Program]:
    """The operator, once it is connected and serves its telemetry; all namespaces unless one is named."""
    command = [
        *(str(BIN / "whatsapp-operator"), "run", f"--kubeconfig={kubeconfig}"),
        f"--lease-namespace={namespace or manifests.OPERATOR_NAMESPACE}",
        *("--telemetry-host=127.0.0.1", "--telemetry-port=0", "--allow-server-address=127.0.0.0/8"),
        *SHORT_SPANS,
    ]
    command += [f"--namespace={namespace}"] if namespace else []
    with running("operator", command, folder) as program:
        program.line_with("telemetry is served")
        yield program


@contextlib.contextmanager
def watch(folder: Path, kubectl: Kubectl) -> Iterator[Program]:
    """`kubectl get wai --watch`."""
    with running("watch", kubectl.command("get", "wai", "--watch"), folder) as program:
        yield program


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(components.PR_SET_PDEATHSIG, signal.SIGKILL)
