"""The operator as a process on a real API server: what it lacks, when it is ready, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

SOURCES = Path(__file__).resolve().parents[2] / "operator"
PROGRAM = "import sys; from whatsapp_operator.cli.main import main; sys.exit(main())"


@dataclass
class Operator:
    """A running operator."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def ready(self) -> str:
        """What /readyz says; empty while nothing listens."""
        url = f"http://127.0.0.1:{self.port}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()
        except OSError:
            return ""

    def wait_for(self, condition: Callable[[str], bool]) -> str:
        for _ in range(300):
            said = self.ready()
            if condition(said):
                return said
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        pytest.fail(f"/readyz still says {self.ready()!r}\n{self.log.read_text()}")


Start = Callable[..., Operator]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an operator with more flags than those that the test has in common."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*flags: str, port: int | None = None) -> Operator:
        log = tmp_path / "log"
        port = port or free_port()
        telemetry = ("--telemetry-host=127.0.0.1", f"--telemetry-port={port}")
        command = [sys.executable, "-c", PROGRAM, "run", *telemetry, *flags]
        environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
        with log.open("wb") as stream:
            process = subprocess.Popen(command, stderr=stream, env=environment)
        running.append(process)
        return Operator(process, port, log)

    yield start
    for process in running:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_operator_waits_for_its_permissions_and_then_is_ready(
    start: Start, account_kubeconfig: Path, namespace: str, bind: Callable[[], None]
) -> None:
    operator = start(f"--kubeconfig={account_kubeconfig}", f"--namespace={namespace}")
    said = operator.wait_for(lambda said: "may not" in said)
    assert said.startswith("preflight: ")
    assert "manifests/namespaced/role.yaml" in said
    bind()
    operator.wait_for(lambda said: said == "ok\n")
    assert operator.log.read_text().count("the cluster lacks what the operator needs") == 1
    assert "Traceback" not in operator.log.read_text()


def test_operator_ends_well_on_sigterm(start: Start, kubeconfig: Path, namespace: str) -> None:
    operator = start(f"--kubeconfig={kubeconfig}", f"--namespace={namespace}")
    operator.wait_for(lambda said: said == "ok\n")
    began = time.monotonic()
    operator.process.send_signal(signal.SIGTERM)
    assert operator.process.wait(20) == 0
    assert time.monotonic() - began < 15
    assert "the operator has stopped" in operator.log.read_text()


def test_operator_ends_well_while_it_still_waits(start: Start, account_kubeconfig: Path, namespace: str) -> None:
    operator = start(f"--kubeconfig={account_kubeconfig}", f"--namespace={namespace}")
    operator.wait_for(lambda said: "may not" in said)
    operator.process.send_signal(signal.SIGINT)
    assert operator.process.wait(10) == 0


def test_operator_without_a_login_says_so_and_ends(start: Start, tmp_path: Path) -> None:
    operator = start(f"--kubeconfig={tmp_path / 'absent'}")
    assert operator.process.wait(20) == 1
    assert "absent" in operator.log.read_text()
    assert "Traceback" not in operator.log.read_text()


def test_operator_whose_port_is_taken_says_so_and_ends(start: Start, kubeconfig: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        operator = start(f"--kubeconfig={kubeconfig}", port=other.getsockname()[1])
        assert operator.process.wait(20) == 1
    assert "--telemetry-port" in operator.log.read_text()
