"""What a failure of a perturbation tells: how everything stands, what was called, and what the operator said."""

import contextlib
import json
import pprint
from collections.abc import Iterator

import httpx

from e2e import crashing, kube, picture, stage

_LOG_LINES = 150


@contextlib.contextmanager
def of_failures(staged: stage.Stage, counter: crashing.Counter, name: str) -> Iterator[None]:
    """A failure inside carries the account of one instance in its message."""
    began = staged.operator.log_file.stat().st_size
    try:
        yield
    except (AssertionError, kube.KubectlError, httpx.HTTPError, TimeoutError) as error:
        raise AssertionError(f"{error}\n{account(staged, counter, name, logged=began)}") from error


def account(staged: stage.Stage, counter: crashing.Counter, name: str, *, logged: int) -> str:
    """Everything that a reader may want, of what happened since the log had so many bytes."""
    lines = staged.operator.log_file.read_bytes()[logged:].decode(errors="replace").splitlines()
    parts = {
        "resource": staged.kubectl.run("get", "wai", name, "--ignore-not-found", "-o", "yaml").stdout,
        "server": pprint.pformat(_or_error(staged, name)),
        "journal": "\n".join(json.dumps(call) for call in staged.simulator.calls(instance=name, mutating=True)),
        "counted calls": "\n".join(f"{words} #{number}" for words, number in counter.calls),
        "log": "\n".join(lines[-_LOG_LINES:]),
    }
    return "\n".join(f"--- {title}\n{text}" for title, text in parts.items())


def _or_error(staged: stage.Stage, name: str) -> object:
    try:
        return picture.on_server(staged, name)
    except (httpx.HTTPError, AttributeError) as error:
        return error
