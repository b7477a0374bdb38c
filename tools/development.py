"""A cluster to develop against: CustomResourceDefinitions applied, the simulator beside it, until Ctrl-C.

It prints the `KUBECONFIG` to use and the address and key of the simulator, so that an operator started by hand, from a
debugger for example, has all that it needs.
"""

import contextlib
import json
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import clusters
from native import places

NAME = "whatsapp-operator"
FOLDER = places.TREE / ".cache" / "cluster"
CRDS = places.TREE / "crds"
STOP_SECONDS = 10.0


def main() -> int:
    """Runs until Ctrl-C; returns the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with clusters.opened(NAME, FOLDER) as kubeconfig:
            _apply_crds(kubeconfig)
            _serve(kubeconfig)
    except KeyboardInterrupt:
        print("\nStopped.")
        return 0
    except subprocess.CalledProcessError as error:
        print(f"error: {error}", file=sys.stderr)
    return 1


def _apply_crds(kubeconfig: Path) -> None:
    target = ["--kubeconfig", str(kubeconfig)]
    subprocess.run([clusters.KUBECTL, *target, "apply", "--server-side", "-f", CRDS], check=True)


def _serve(kubeconfig: Path) -> None:
    key = secrets.token_urlsafe(16)
    with _simulator(key) as simulator:
        assert simulator.stdout is not None  # noqa: S101 - it was asked for
        said = simulator.stdout.readline()
        if said:
            print(_introduction(kubeconfig, key, json.loads(said)), flush=True)
        code = simulator.wait()
    print(f"error: the simulator ended with exit code {code}", file=sys.stderr)


def _introduction(kubeconfig: Path, key: str, addresses: dict[str, str]) -> str:
    return f"""
The cluster is ready; Ctrl-C stops it. In another terminal:

  export KUBECONFIG={kubeconfig}
  export PATH={clusters.KUBECTL.parent}:$PATH
  kubectl get whatsapp

The simulated Evolution API answers at {addresses["url"]}, its key is {key}
What it simulates is chosen at {addresses["control"]}"""


@contextlib.contextmanager
def _simulator(key: str) -> Iterator[subprocess.Popen[str]]:
    """The simulator, in a process group of its own: a Ctrl-C reaches this program alone, which then stops it."""
    program = places.TREE / ".venv" / "bin" / "evolution-simulator"
    simulator = subprocess.Popen(
        [program, "--port", "0", "--api-key", key], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield simulator
    finally:
        simulator.terminate()
        try:
            simulator.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            simulator.kill()


if __name__ == "__main__":
    sys.exit(main())
