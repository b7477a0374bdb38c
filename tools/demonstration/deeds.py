"""What an act does to the world: a line that tells it, and what is done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import yaml

from demonstration import manifests
from demonstration.stage import Stage


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that is done. `do` returns what is to be seen of it at once, line by line."""

    line: str
    do: Callable[[Stage], Sequence[str]]


def apply(file: str, *names: str) -> Deed:
    """`kubectl apply` of an example, or of its objects with these names."""

    def do(stage: Stage) -> Sequence[str]:
        objects = manifests.example(file, names, url=stage.simulator.url, key=stage.key)
        return stage.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects)).splitlines()

    chosen = f"   # {', '.join(names)} of it" if names else ""
    return Deed(f"$ kubectl apply -f examples/{file}{chosen}", do)


def scan(name: str) -> Deed:
    """The phone scans the QR code that an instance shows now."""
    return _on_server(f"a phone scans the QR code of {name}", lambda stage: stage.simulator.scan(name))


def break_(name: str, state: str, line: str) -> Deed:
    """Bring an instance into one of the broken states of docs/simulator.md."""
    return _on_server(f"{line} ({state})", lambda stage: stage.simulator.break_(name, state))


def shut_down() -> Deed:
    """The server's process ends; connections are refused."""
    return _on_server("the Evolution API server is shut down", lambda stage: stage.simulator.down())


def start_up() -> Deed:
    """The server's process starts, and loads its instances."""
    return _on_server("the Evolution API server is started again", lambda stage: stage.simulator.up())


def _on_server(line: str, act: Callable[[Stage], object]) -> Deed:
    def do(stage: Stage) -> Sequence[str]:
        act(stage)
        return ()

    return Deed(line, do)
