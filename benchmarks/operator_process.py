"""The operator as a process, and what the kernel and its own metrics tell about it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

PROGRAM = Path(sys.executable).with_name("whatsapp-operator")
_FLAGS = (
    "--telemetry-host=127.0.0.1",
    "--telemetry-port=0",
    "--allow-server-address=127.0.0.0/8",
    "--lease-namespace=whatsapp-operator",
)
_START_SECONDS = 60.0
_STOP_SECONDS = 40.0
_POLL_SECONDS = 0.02
_TICKS = os.sysconf("SC_CLK_TCK")
_WRITES = frozenset({"create", "patch", "update", "delete"})


@dataclass(slots=True)
class Operator:
    """The installed program, with flags that let it call a server on loopback, and no other."""

    kubeconfig: Path
    log_file: Path
    flags: Sequence[str] = ()
    process: "subprocess.Popen[bytes] | None" = None
    port: int = 0

    def start(self) -> float:
        """Start it, and wait until it is ready. Returns the seconds from its start to that."""
        began, position = time.monotonic(), self._log_size()
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [str(PROGRAM), "run", f"--kubeconfig={self.kubeconfig}", *_FLAGS, *self.flags],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={name: value for name, value in os.environ.items() if not name.startswith("WHATSAPP_OPERATOR_")},
            )
        while not self._is_ready(position):
            if time.monotonic() - began > _START_SECONDS or self.process.poll() is not None:
                raise TimeoutError(f"the operator did not become ready:\n{self.log_file.read_text()[-5000:]}")
            time.sleep(_POLL_SECONDS)
        return time.monotonic() - began

    def _log_size(self) -> int:
        return self.log_file.stat().st_size if self.log_file.exists() else 0

    def _is_ready(self, position: int) -> bool:
        lines = self.log_file.read_bytes()[position:].decode(errors="replace").splitlines()
        self.port = next((json.loads(line)["port"] for line in lines if "telemetry is served" in line), 0)
        if not self.port:
            return False
        return httpx.get(f"http://127.0.0.1:{self.port}/readyz", trust_env=False, timeout=10).status_code == 200

    def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(_STOP_SECONDS)

    @property
    def _proc(self) -> Path:
        assert self.process is not None  # noqa: S101 - asked of a running operator only
        return Path("/proc") / str(self.process.pid)

    def cpu_seconds(self) -> float:
        """Processor time since its start, user and system."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_mebibytes(self) -> float:
        """Memory that it holds."""
        lines = (self._proc / "status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmRSS:"))) / 1024

    def kubernetes_calls(self) -> Counter[str]:
        """Its calls to the API server since its start, such as `patch whatsappinstances/status`."""
        calls: Counter[str] = Counter()
        for sample in self._samples("whatsapp_operator_kubernetes_calls_total"):
            calls[f"{sample[0]['verb']} {sample[0]['resource']}"] += round(sample[1])
        return calls

    def healthy(self) -> int:
        """Instances that it counts as Healthy."""
        found = self._samples("whatsapp_operator_instances")
        return round(sum(value for labels, value in found if labels["state"] == "Healthy"))

    def _samples(self, name: str) -> list[tuple[dict[str, str], float]]:
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics", trust_env=False, timeout=10).text
        families = text_string_to_metric_families(text)
        return [(one.labels, one.value) for family in families for one in family.samples if one.name == name]


def writes(calls: Counter[str]) -> Counter[str]:
    """Those calls that are writes."""
    return Counter({call: count for call, count in calls.items() if call.split()[0] in _WRITES and count})


def reads(calls: Counter[str]) -> Counter[str]:
    """Those calls that are reads."""
    return Counter({call: count for call, count in calls.items() if call.split()[0] not in _WRITES and count})
