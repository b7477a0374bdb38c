"""What a client can do to a broken instance, and what it looks like: the words of the tables of states."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from evolution_simulator import whatsapp
from simulator.conftest import Bench

SETTLED_SECONDS = 3.0
DEAF = {"received": 0}
Action = Callable[[Bench], Awaitable[None]]


@dataclass(frozen=True)
class Look:
    """An instance from outside. Memory is every state seen over 3 s, None a `connectionState` without one.

    `hidden` is what is wrong with it that no client of the server can see.
    """

    memory: frozenset[str | None]
    database: str | None
    probe: int | None
    metrics: bool
    hidden: frozenset[str] = frozenset()

    def __str__(self) -> str:
        memory = "/".join(sorted(str(each) for each in self.memory))
        hidden = ", ".join(sorted(self.hidden)) or "nothing"
        seen = f"{memory} in memory, {self.database} in the database, probe {self.probe}, metrics {self.metrics}"
        return f"{seen}, hidden: {hidden}"


async def look(bench: Bench) -> Look:
    """What an instance looks like now."""
    seen: set[str | None] = set()
    for _ in range(int(SETTLED_SECONDS / 0.02)):
        bench.pass_time(0.02)
        one = bench.world.memory.get("one")
        seen.add(str(one.state) if one else None)
    state = await bench.state()
    assert state in seen or state == "absent"
    row = await bench.row()
    probe = None
    if seen == {"open"}:
        probe = (await bench.request("POST", "/chat/fetchBusinessProfile/one", json={"number": "1"})).status_code
    metrics = 'instance="one"' in (await bench.request("GET", "/metrics")).text
    memory = frozenset({"absent"}) if state == "absent" else frozenset(seen)
    return Look(memory, row["connectionStatus"] if row else None, probe, metrics, await hidden(bench))


async def hidden(bench: Bench) -> frozenset[str]:
    """What only the control API tells: `orphans`, `heldElsewhere`, and whether an open instance is `deaf`."""
    inside = await bench.control("GET", "/instances/one")
    found = {each for each in ("orphans", "heldElsewhere") if inside[each]}
    could_hear = inside["memory"] == "open" and inside["database"] is not None and inside["connections"] is not None
    if could_hear and await bench.control("POST", "/instances/one/messages", {"count": 1}) == DEAF:
        found.add("deaf")
    return frozenset(found)


def outside(
    memory: str, database: str | None, *, probe: int | None = None, metrics: bool = True, hidden: str = ""
) -> Look:
    """A look in short: memory as `open`, `close/connecting`, `none` (a ghost) or `absent`."""
    states = frozenset(None if each == "none" else each for each in memory.split("/"))
    return Look(states, database, probe, metrics, frozenset(filter(None, [hidden])))


HEALTHY = outside("open", "open", probe=200)
GONE = outside("absent", None, metrics=False)
ASKING = outside("connecting", "connecting")
"""Showing QR codes."""


async def call(bench: Bench, method: str, path: str, *, allowed: tuple[int, ...] = (200,), json: Any = None) -> Any:
    """One request, whose status must be one of those."""
    answer = await bench.request(method, path, json=json)
    assert answer.status_code in allowed, answer.text
    return answer.json()


async def connect(bench: Bench) -> None:
    """GET connect."""
    await call(bench, "GET", "/instance/connect/one")


async def restart(bench: Bench) -> None:
    """POST restart."""
    await call(bench, "POST", "/instance/restart/one")


async def logout(bench: Bench) -> None:
    """DELETE logout, whatever it answers."""
    await call(bench, "DELETE", "/instance/logout/one", allowed=(200, 400, 500))


async def delete(bench: Bench) -> None:
    """DELETE delete, whatever it answers."""
    await call(bench, "DELETE", "/instance/delete/one", allowed=(200, 400))


async def relogin(bench: Bench) -> None:
    """Logout until it succeeds, then connect."""
    for _ in range(500):
        answer = await bench.request("DELETE", "/instance/logout/one")
        if answer.status_code == 200:
            break
        assert answer.status_code == 400
        bench.pass_time(0.02)
    await connect(bench)


async def relogin_and_scan(bench: Bench) -> None:
    """The same object, logged out and paired anew."""
    await relogin(bench)
    await scan(bench)


async def end_foreign_holder(bench: Bench) -> None:
    """The other server with this session is stopped."""
    await bench.control("DELETE", "/instances/one/foreign-holder")


async def replace_process(bench: Bench) -> None:
    """The process ends, and another starts as a replaced pod does."""
    await bench.control("POST", "/server/down", {})
    bench.pass_time(5)
    await bench.control("POST", "/server/up", {"loadSeconds": 0.5})
    bench.pass_time(1)


async def disable_webhook(bench: Bench) -> None:
    """Webhook set to enabled:false."""
    body = {"webhook": {"enabled": False, "url": "http://127.0.0.1:9/x", "events": []}}
    await call(bench, "POST", "/webhook/set/one", allowed=(201,), json=body)


async def disable_webhook_and_delete(bench: Bench) -> None:
    """The safe order."""
    await disable_webhook(bench)
    await delete(bench)


async def delete_then_disable_webhook(bench: Bench) -> None:
    """The wrong order."""
    await delete(bench)
    await disable_webhook(bench)


async def connect_and_scan(bench: Bench) -> None:
    """A new pairing."""
    await connect(bench)
    await scan(bench)


async def scan(bench: Bench) -> None:
    """The phone."""
    await bench.control("POST", "/instances/one/scan", {})


async def restart_server(bench: Bench) -> None:
    """The process starts anew."""
    await bench.control("POST", "/server/restart", {})


async def network_returns(bench: Bench) -> None:
    """WhatsApp can be reached again."""
    bench.world.whatsapp.set_reach(whatsapp.Reach.REACHABLE, name="one")


async def wait(bench: Bench) -> None:
    """An hour goes by."""
    bench.pass_time(3600)
