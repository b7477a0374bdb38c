"""Starting, finding and stopping control planes, each known by its name."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from native import binaries, locking, places, supervisor

START_SECONDS = supervisor.READY_SECONDS + 10.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.1


def start(
    name: str,
    *,
    kubeconfig: Path | None = None,
    owner: int | None = None,
    audits: bool = False,
    nodes: int = 0,
    schedules: bool = False,
) -> supervisor.State:
    """Starts the control plane `name`, or finds it running, and writes the administrator's kubeconfig.

    It goes on after this process has ended, but not longer than the process `owner`, where one is given. With `audits`
    the API server writes every request to `audit.log` in the folder of its logs; with `nodes` kwok plays as many, and
    with `schedules` a scheduler gives them the pods that name none.
    Raises ControlPlaneError when it does not get ready, BuildError when its programs cannot be built.
    """
    binaries.ensure(nodes=nodes > 0, scheduler=schedules)
    with locking.locked(_folder(name).with_suffix(".start.lock")):
        state = find(name) or _launch(name, owner, audits=audits, nodes=nodes, schedules=schedules)
    if kubeconfig is not None:
        _hand_out(Path(state.kubeconfig), kubeconfig)
    return state


def stop(name: str, *, kubeconfig: Path | None = None) -> bool:
    """Stops the control plane `name` and removes its data and `kubeconfig`; returns whether it was running."""
    folder = _folder(name)
    handed_out = kubeconfig if kubeconfig and _is_copy(folder / "kubeconfig", kubeconfig) else None
    state = find(name)
    if state is not None:
        os.kill(state.pid, signal.SIGTERM)
        if not _gone(folder):
            os.killpg(state.pid, signal.SIGKILL)
    if handed_out is not None:
        handed_out.unlink()
    supervisor.erase(folder)
    return state is not None


def find(name: str) -> supervisor.State | None:
    """The state of the control plane `name`, or `None` where it does not run or is not ready yet."""
    folder = _folder(name)
    record = folder / "state.json"
    if not record.exists() or not _is_held(folder):
        return None
    return supervisor.State(**json.loads(record.read_text()))


def running() -> list[supervisor.State]:
    """The states of all control planes that run."""
    states = (find(record.parent.name) for record in sorted(places.run_folder("any").parent.glob("*/state.json")))
    return [state for state in states if state is not None]


def _launch(name: str, owner: int | None, *, audits: bool, nodes: int, schedules: bool) -> supervisor.State:
    folder = _folder(name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    command = [sys.executable, str(places.TREE / "tools" / "control_plane.py"), "run", "--name", name]
    command += ["--owner", str(owner)] if owner else []
    command += ["--audit"] if audits else []
    command += ["--nodes", str(nodes)] if nodes else []
    command += ["--scheduler"] if schedules else []
    log = folder / "supervisor.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while (state := find(name)) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            process.terminate()
            raise supervisor.ControlPlaneError(f"{name!r} did not start:\n{supervisor.tail(log)}")
        time.sleep(POLL_SECONDS)
    return state


def _folder(name: str) -> Path:
    return places.run_folder(name)


def _is_held(folder: Path) -> bool:
    holder = locking.try_lock(folder.with_suffix(".lock"))
    if holder is None:
        return True
    holder.close()
    return False


def _gone(folder: Path) -> bool:
    deadline = time.monotonic() + STOP_SECONDS
    while _is_held(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _hand_out(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)
    target.write_text(source.read_text())


def _is_copy(source: Path, target: Path) -> bool:
    return source.exists() and target.exists() and source.read_bytes() == target.read_bytes()
