"""A client of the simulator's control API, for tests, the demo and benchmarks. It needs httpx and nothing else.

    with launch(api_key="secret", version="2.3.7") as simulator:
        ...create "sales" over the Evolution API at simulator.url...
        simulator.scan("sales")
        simulator.break_("sales", "S17")
        assert [call["route"] for call in simulator.calls(instance="sales", mutating=True)] == ["create", "connect"]

Every method raises `httpx.HTTPStatusError` where the simulator refuses (409: the state does not allow it, with the
reason in the body).
"""

import contextlib
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import httpx

Json = dict[str, Any]


class Simulator:
    """One running simulator. `url` is the Evolution API, `control` where the control API listens."""

    def __init__(self, control: str, *, url: str = "", timeout: float = 30.0) -> None:
        self.url = url
        self.control = control
        # Proxies of the environment have no business here, and loading certificates for plain HTTP takes 60 ms.
        no_certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._http = httpx.Client(
            base_url=f"{control}/__simulator", timeout=timeout, trust_env=False, verify=no_certificates
        )

    def close(self) -> None:
        """Close the client's connections; the simulator runs on."""
        self._http.close()

    # The phone

    def scan(self, name: str, *, owner_jid: str | None = None) -> str:
        """Scan the QR code that an instance shows. Returns the owner's JID; 409 where no live code is on display."""
        return cast(str, self._post(f"{_instance(name)}/scan", _given(ownerJid=owner_jid))["ownerJid"])

    def pair(self, name: str, *, owner_jid: str | None = None) -> str:
        """Make an instance open and paired at once, without QR code. Returns the owner's JID."""
        return cast(str, self._post(f"{_instance(name)}/pair", _given(ownerJid=owner_jid))["ownerJid"])

    def log_out(self, name: str) -> None:
        """The phone removes the linked device (401)."""
        self.disconnect(name, code=401)

    def ban(self, name: str) -> None:
        """WhatsApp bans the number (403)."""
        self.disconnect(name, code=403)

    def drop(self, name: str, *, code: int = 428) -> None:
        """The connection is lost; the server takes it up again by itself."""
        self.disconnect(name, code=code)

    def disconnect(self, name: str, *, code: int) -> None:
        """End the connection with a code: 401, 402, 403 and 406 end the session, others are transient."""
        self._post(f"{_instance(name)}/disconnect", {"code": code})

    def receive(self, name: str, count: int = 1) -> int:
        """Messages arrive. Returns how many the instance took: a deaf one takes none."""
        return cast(int, self._post(f"{_instance(name)}/messages", {"count": count})["received"])

    # Broken states

    def break_(self, name: str, state: str) -> None:
        """Bring an instance into a state of docs/simulator.md, `"S1"` to `"S19"`. 409 where it cannot get there."""
        self._post(f"{_instance(name)}/break", {"state": state})

    def end_foreign_holder(self, name: str) -> None:
        """The other server of S15 is gone. 409 where there is none."""
        self._http.delete(f"{_instance(name)}/foreign-holder").raise_for_status()

    def insert_row(self, name: str, *, token: str | None = None, status: str = "close") -> str:
        """Insert a row into the database past the server: a ghost. Returns its id."""
        return cast(str, self._put(_row(name), _given(token=token, status=status))["id"])

    def delete_row(self, name: str) -> None:
        """Delete a row from the database past the server."""
        self._http.delete(_row(name)).raise_for_status()

    def seed(self, count: int, *, prefix: str = "instance", state: str = "open", token: str | None = None) -> list[str]:
        """Make many instances at once (open ones are paired). Returns their names, `prefix-00000` and on."""
        body = _given(count=count, prefix=prefix, state=state, token=token)
        return cast(list[str], self._post("/seed", body)["names"])

    # The server and what is around it

    def restart_server(
        self, *, down_seconds: float = 0.0, load_seconds: float = 0.0, ghosts: Sequence[str] = ()
    ) -> None:
        """Restart the process: away for `down_seconds`, then a row every `load_seconds`; `ghosts` never load."""
        self._post(
            "/server/restart", {"downSeconds": down_seconds, "loadSeconds": load_seconds, "ghosts": list(ghosts)}
        )

    def down(self, *, listener_only: bool = False) -> None:
        """Stop the process, or only close its port while it lives on. Returns when connections are refused."""
        self._post("/server/down", {"listenerOnly": listener_only})

    def up(self, *, load_seconds: float = 0.0, ghosts: Sequence[str] = ()) -> None:
        """Start what `down` stopped, a row every `load_seconds`; `ghosts` never load.

        Returns when the port is open; while the database is down it stays closed, and opens some time after.
        """
        self._post("/server/up", {"loadSeconds": load_seconds, "ghosts": list(ghosts)})

    def database_down(self) -> None:
        """The database stops answering the server."""
        self._post("/database", {"down": True})

    def database_up(self) -> None:
        """The database answers again."""
        self._post("/database", {"down": False})

    def internet_down(self) -> None:
        """The server's own calls to the internet fail: no proxy passes its trial."""
        self._post("/internet", {"down": True})

    def internet_up(self) -> None:
        """They work again."""
        self._post("/internet", {"down": False})

    def whatsapp(self, reach: str, *, instance: str | None = None, proxy: str | None = None) -> None:
        """How WhatsApp answers one instance, all behind one proxy (`host:port`; empty for those without), or everybody.

        `reachable`, `refused`, `silent`, `stalled` or `blackholed`.
        """
        self._post("/whatsapp", _given(reach=reach, instance=instance, proxy=proxy))

    def set_version(self, version: str) -> None:
        """Restart as another version."""
        self._post("/version", {"version": version})

    def set_client_name(self, client_name: str) -> None:
        """Answer with another `clientName`."""
        self._post("/client-name", {"clientName": client_name})

    def set_api_key(self, api_key: str) -> None:
        """Change the global key."""
        self._post("/api-key", {"apiKey": api_key})

    def set_metrics_auth(self, user: str, password: str) -> None:
        """Let `/metrics` ask for them."""
        self._post("/metrics-auth", {"user": user, "password": password})

    def races(self, **chances: float) -> None:
        """Chances of 2.3.7's races, 0 to 1: `logoutConnecting`, `logoutOpen`, `deleteConnecting`, `deleteOpen`."""
        self._post("/races", chances)

    def no_races(self) -> None:
        """Logout and delete of healthy instances work at the first try."""
        self.races(logoutConnecting=0, logoutOpen=0, deleteConnecting=0, deleteOpen=0)

    def dead_receiver(self, url: str, *, dead: bool = True) -> None:
        """Webhooks to addresses that begin with `url` are not answered any more, or again."""
        self._post("/webhooks/dead", {"url": url, "dead": dead})

    def webhooks(self) -> list[Json]:
        """The last webhook attempts, oldest first."""
        return cast(list[Json], self._get("/webhooks"))

    # Faults

    def fault(
        self,
        kind: str,
        *,
        route: str | None = None,
        method: str | None = None,
        path: str | None = None,
        instance: str | None = None,
        count: int | None = None,
        status: int | None = None,
        seconds: float | None = None,
    ) -> int:
        """Spoil requests that match all of route, method, path pattern and instance. Returns the fault's id.

        Kinds: `latency` (`seconds`), `refused`, `reset`, `status` and `html` (`status`), `truncated`, `half-open`,
        `hold-before`, `hold-after`. `count` limits how many requests are spoilt.
        """
        rule = _given(
            route=route, method=method, path=path, instance=instance, count=count, status=status, seconds=seconds
        )
        return cast(int, self._post("/faults", {"kind": kind, **rule})["id"])

    def faults(self) -> list[Json]:
        """The faults that are on, with how many requests each has spoilt (`hits`)."""
        return cast(list[Json], self._get("/faults"))

    def clear_faults(self, fault_id: int | None = None) -> None:
        """Switch one fault off, or all."""
        self._http.delete("/faults", params=_given(id=fault_id)).raise_for_status()

    def release(self) -> None:
        """Let go of all requests that `hold-before`, `hold-after` and `half-open` hold now."""
        self._post("/release", {})

    # What happened

    def calls(
        self,
        *,
        instance: str | None = None,
        route: str | None = None,
        mutating: bool | None = None,
        since: int = 0,
    ) -> list[Json]:
        """Requests the server got, in order: number, time, method, path, query, route, instance, mutating, status."""
        flag = None if mutating is None else str(mutating).lower()
        params = _given(instance=instance, route=route, mutating=flag, since=since)
        return cast(list[Json], self._get("/calls", params)["calls"])

    def routes_called(self, instance: str, *, mutating: bool | None = True) -> list[str]:
        """The names of the routes called for an instance, in order."""
        return [call["route"] for call in self.calls(instance=instance, mutating=mutating)]

    def call_counts(self) -> dict[str, int]:
        """How many requests each route got since the last reset."""
        return cast(dict[str, int], self._get("/calls", {"count": "true"})["routes"])

    def reset_calls(self) -> None:
        """Forget the requests so far."""
        self._http.delete("/calls").raise_for_status()

    def state(self) -> Json:
        """Everything from inside, with all `instances` by name."""
        return cast(Json, self._get("/state"))

    def instance(self, name: str) -> Json:
        """One instance from inside: memory, database, session, qrShown, connections and more; null what is absent."""
        return cast(Json, self._get(_instance(name)))

    def wait_for(self, name: str, wanted: Callable[[Json], bool], *, timeout: float = 30.0) -> Json:
        """Poll until an instance is as wanted. Raises `TimeoutError` with its last state."""
        deadline = time.monotonic() + timeout
        while not wanted(seen := self.instance(name)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} after {timeout} s: {seen}")
            time.sleep(0.05)
        return seen

    # Time

    def now(self) -> float:
        """The model's time, in seconds since the epoch."""
        return cast(float, self._get("/clock")["now"])

    def advance(self, seconds: float) -> float:
        """Move the clock of a simulator started with `--clock driven`. Returns the new time."""
        return cast(float, self._post("/clock", {"advance": seconds})["now"])

    def _get(self, path: str, params: Json | None = None) -> Any:
        return self._http.get(path, params=params).raise_for_status().json()

    def _post(self, path: str, body: Json) -> Any:
        return self._http.post(path, json=body).raise_for_status().json()

    def _put(self, path: str, body: Json) -> Any:
        return self._http.put(path, json=body).raise_for_status().json()


@contextlib.contextmanager
def launch(*, api_key: str, python: str = sys.executable, **options: object) -> Iterator[Simulator]:
    """Run a simulator process for as long as the block lasts.

    `options` are the command line's: `version="2.3.6"`, `auto_scan=5`, `clock="driven"`, `port=8080`. `python` is an
    interpreter that can import this package with all it needs.
    """
    command = [python, "-m", "evolution_simulator.main", "--api-key", api_key]
    for option, value in ({"port": 0} | options).items():
        command += [f"--{option.replace('_', '-')}"] + ([] if value is True else [str(value)])
    found = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(found)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:  # noqa: S603  # our own program
        try:
            line = process.stdout.readline() if process.stdout else ""
            where = json.loads(line)
            simulator = Simulator(where["control"], url=where["url"])
            try:
                yield simulator
            finally:
                simulator.close()
        finally:
            process.terminate()


def _instance(name: str) -> str:
    return f"/instances/{urllib.parse.quote(name, safe='')}"


def _row(name: str) -> str:
    return f"/rows/{urllib.parse.quote(name, safe='')}"


def _given(**values: object) -> Json:
    return {key: value for key, value in values.items() if value is not None}
