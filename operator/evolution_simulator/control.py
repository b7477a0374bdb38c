"""The control API: the phone, the network, the database and the clock of the simulated server, under `/__simulator`.

It listens on a port of its own, so that it can be reached while the server is down.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from evolution_simulator import (
    breakage,
    clock,
    faults,
    instance,
    listener,
    population,
    reasons,
    snapshot,
    version,
    whatsapp,
    world,
)

Body = dict[str, Any]
Handler = Callable[[web.Request, Body], Awaitable[Any]]


class RefusedError(Exception):
    """The control call cannot be done: answered 409 with the reason."""


class Control:
    """Handlers of the control API."""

    def __init__(self, *, server: world.World, ear: listener.Listener, time: clock.Scheduler) -> None:
        self._world = server
        self._ear = ear
        self._clock = time

    def application(self) -> web.Application:
        """All routes. Paths are relative to `/__simulator`."""
        app = web.Application()
        for method, path, handler in self._routes():
            app.router.add_route(method, f"/__simulator{path}", answering(handler))
        return app

    def _routes(self) -> list[tuple[str, str, Handler]]:
        one = "/instances/{name}"
        return [
            ("GET", "/clock", self.read_clock),
            ("POST", "/clock", self.advance),
            ("GET", "/state", self.state),
            ("GET", one, self.instance_state),
            ("POST", f"{one}/scan", self.scan),
            ("POST", f"{one}/pair", self.pair),
            ("POST", f"{one}/disconnect", self.disconnect),
            ("POST", f"{one}/break", self.break_),
            ("DELETE", f"{one}/foreign-holder", self.end_foreign_holder),
            ("POST", f"{one}/messages", self.messages),
            ("PUT", "/rows/{name}", self.insert_row),
            ("DELETE", "/rows/{name}", self.delete_row),
            ("POST", "/seed", self.seed),
            ("POST", "/server/restart", self.restart),
            ("POST", "/server/down", self.down),
            ("POST", "/server/up", self.up),
            ("POST", "/database", self.database),
            ("POST", "/internet", self.internet),
            ("POST", "/whatsapp", self.whatsapp),
            ("POST", "/version", self.version),
            ("POST", "/client-name", self.client_name),
            ("POST", "/api-key", self.api_key),
            ("POST", "/metrics-auth", self.metrics_auth),
            ("POST", "/races", self.races),
            ("POST", "/webhooks/dead", self.dead_receiver),
            ("GET", "/webhooks", self.webhooks),
            ("POST", "/faults", self.add_fault),
            ("GET", "/faults", self.list_faults),
            ("DELETE", "/faults", self.remove_faults),
            ("POST", "/release", self.release),
            ("GET", "/calls", self.calls),
            ("DELETE", "/calls", self.reset_calls),
        ]

    # Time

    async def read_clock(self, request: web.Request, body: Body) -> Any:
        """The time of the model."""
        del request, body
        return {"now": self._clock.now(), "driven": isinstance(self._clock, clock.DrivenClock)}

    async def advance(self, request: web.Request, body: Body) -> Any:
        """Move a driven clock."""
        if not isinstance(self._clock, clock.DrivenClock):
            raise RefusedError("the clock is real: start the simulator with --clock driven")
        self._clock.advance(float(body["advance"]))
        await self._ear.settled()
        return await self.read_clock(request, body)

    # Instances

    async def state(self, request: web.Request, body: Body) -> Any:
        """Everything, from inside."""
        del request, body
        return snapshot.server_body(self._world, received=self._ear.journal.received)

    async def instance_state(self, request: web.Request, body: Body) -> Any:
        """One instance from inside."""
        del body
        return snapshot.instance_body(self._world, request.match_info["name"])

    async def scan(self, request: web.Request, body: Body) -> Any:
        """Scan the QR code with a phone."""
        owner = self._world.scan(request.match_info["name"], owner_jid=body.get("ownerJid"))
        if owner is None:
            raise RefusedError("no live QR code is on display")
        return {"ownerJid": owner}

    async def pair(self, request: web.Request, body: Body) -> Any:
        """Make an instance open and paired at once."""
        owner = population.pair(self._world, self._baileys(request), owner_jid=body.get("ownerJid"))
        return {"ownerJid": owner}

    async def disconnect(self, request: web.Request, body: Body) -> Any:
        """End the connection with a code: 401 the phone, 403 a ban, others are transient."""
        one = self._baileys(request)
        code = int(body.get("code", 428))
        client = one.client
        if client is None or client.ended:
            raise RefusedError("it has no connection")
        if code in reasons.FINAL_CODES and client.open:
            self._world.whatsapp.remove_device(client.credentials.device, code=code)
        elif code in reasons.FINAL_CODES:
            client.close(reasons.stopped(code, self._world.release))
        else:
            client.close(reasons.transient(code, gap=self._world.rng.uniform(0.05, 0.3)))
        return None

    async def break_(self, request: web.Request, body: Body) -> Any:
        """Bring an instance into a broken state."""
        try:
            breakage.break_instance(self._world, request.match_info["name"], str(body["state"]))
        except breakage.NotApplicableError as error:
            raise RefusedError(str(error)) from error

    async def end_foreign_holder(self, request: web.Request, body: Body) -> Any:
        """The other server that holds the session is gone."""
        del body
        holders = self._world.held_elsewhere(request.match_info["name"])
        if not holders:
            raise RefusedError("no other server holds its session")
        for each in holders:
            each.end()

    async def messages(self, request: web.Request, body: Body) -> Any:
        """Messages arrive; a deaf instance drops them."""
        one = self._baileys(request)
        row = self._world.database.rows.get(one.name)
        received = 0 if row is None or one.deaf else int(body.get("count", 1))
        if row is not None and received:
            row.counts["Message"] += received
            row.rendered = None
        return {"received": received}

    def _baileys(self, request: web.Request) -> instance.BaileysInstance:
        one = self._world.memory.get(request.match_info["name"])
        if not isinstance(one, instance.BaileysInstance):
            raise RefusedError("it is not a WHATSAPP-BAILEYS instance in memory")
        return one

    # The database, past the server

    async def insert_row(self, request: web.Request, body: Body) -> Any:
        """Insert a row by SQL: a ghost."""
        row = population.insert_row(
            self._world,
            name=request.match_info["name"],
            token=body.get("token"),
            status=version.ConnectionState(body.get("status", "close")),
        )
        return {"id": row.id, "token": row.token}

    async def delete_row(self, request: web.Request, body: Body) -> Any:
        """Delete a row by SQL."""
        del body
        self._world.database.delete(request.match_info["name"])

    async def seed(self, request: web.Request, body: Body) -> Any:
        """Make many instances at once."""
        del request
        state = version.ConnectionState(body.get("state", "open"))
        names = population.seed(
            self._world,
            count=int(body["count"]),
            prefix=str(body.get("prefix", "instance")),
            state=state,
            token=body.get("token"),
        )
        return {"names": list(names)}

    async def database(self, request: web.Request, body: Body) -> Any:
        """Take the database down or up."""
        del request
        self._world.database.down = bool(body["down"])

    # The server and the network

    async def internet(self, request: web.Request, body: Body) -> Any:
        """The server's own calls to the internet fail, or work again."""
        del request
        self._world.internet_down = bool(body["down"])

    async def restart(self, request: web.Request, body: Body) -> Any:
        """Restart the process."""
        del request
        self._world.restart(
            down_seconds=float(body.get("downSeconds", 0)),
            load_seconds=float(body.get("loadSeconds", 0)),
            ghosts=frozenset(body.get("ghosts", ())),
        )
        await self._ear.settled()

    async def down(self, request: web.Request, body: Body) -> Any:
        """Stop the process, or, with `listenerOnly`, cut it off from its clients while it lives on."""
        del request
        if body.get("listenerOnly"):
            self._world.set_listening(False)
        else:
            self._world.stop()
        await self._ear.settled()

    async def up(self, request: web.Request, body: Body) -> Any:
        """Start the process, or reopen the port of one that lives."""
        del request
        if self._world.running:
            self._world.set_listening(True)
        else:
            self._world.start(load_seconds=float(body.get("loadSeconds", 0)), ghosts=frozenset(body.get("ghosts", ())))
        await self._ear.settled()

    async def whatsapp(self, request: web.Request, body: Body) -> Any:
        """Change how WhatsApp answers."""
        del request
        if "instance" in body and "proxy" in body:
            raise RefusedError("name an instance or a proxy, not both")
        self._world.whatsapp.set_reach(
            whatsapp.Reach(body["reach"]), name=body.get("instance"), proxy=body.get("proxy")
        )

    async def version(self, request: web.Request, body: Body) -> Any:
        """Become another version, with a restart."""
        if body["version"] not in version.VERSIONS:
            raise RefusedError(f"known versions: {', '.join(version.VERSIONS)}")
        self._world.set_release(version.VERSIONS[body["version"]])
        await self.restart(request, body)

    async def client_name(self, request: web.Request, body: Body) -> Any:
        """Answer with another `clientName`."""
        del request
        self._world.database.rename_client(str(body["clientName"]))
        self._world.memory_changed()

    async def api_key(self, request: web.Request, body: Body) -> Any:
        """Change the global key."""
        del request
        self._world.settings.api_key = str(body["apiKey"])

    async def metrics_auth(self, request: web.Request, body: Body) -> Any:
        """Let `/metrics` ask for a user and a password; both empty is a server where they are not configured."""
        del request
        self._world.settings.metrics_auth = (str(body["user"]), str(body["password"]))

    async def races(self, request: web.Request, body: Body) -> Any:
        """Set the chances of 2.3.7's races, each from 0 (never) to 1 (always)."""
        del request
        for key, value in body.items():
            setattr(self._world.races, RACES[key], float(value))

    # Webhooks, faults and calls

    async def dead_receiver(self, request: web.Request, body: Body) -> Any:
        """Webhooks to an address are not answered from now on, or again."""
        del request
        (self._world.webhooks.dead.add if body.get("dead", True) else self._world.webhooks.dead.discard)(body["url"])

    async def webhooks(self, request: web.Request, body: Body) -> Any:
        """The last webhook attempts, oldest first."""
        del request, body
        return [{"url": each.url, **each.body} for each in self._world.webhooks.attempts]

    async def add_fault(self, request: web.Request, body: Body) -> Any:
        """Switch a fault on."""
        del request
        kind = faults.Kind(body.pop("kind"))
        return self._ear.faults.add(kind, **body).body()

    async def list_faults(self, request: web.Request, body: Body) -> Any:
        """The faults that are on."""
        del request, body
        return [fault.body() for fault in self._ear.faults.active]

    async def remove_faults(self, request: web.Request, body: Body) -> Any:
        """Switch one fault (`?id=`) or all off."""
        del body
        wanted = request.query.get("id")
        self._ear.faults.remove(int(wanted) if wanted else None)

    async def release(self, request: web.Request, body: Body) -> Any:
        """Let go of held requests."""
        del request, body
        self._ear.release()

    async def calls(self, request: web.Request, body: Body) -> Any:
        """The requests the server got, with filters."""
        del body
        query = request.query
        mutating = {"true": True, "false": False}.get(query.get("mutating", ""))
        entries = self._ear.journal.select(
            instance=query.get("instance"),
            route=query.get("route"),
            mutating=mutating,
            since=int(query.get("since", 0)),
        )
        counts = self._ear.journal.counts
        if query.get("count") == "true":
            return {"received": self._ear.journal.received, "routes": counts}
        return {"received": self._ear.journal.received, "routes": counts, "calls": [each.body() for each in entries]}

    async def reset_calls(self, request: web.Request, body: Body) -> Any:
        """Forget the requests so far."""
        del request, body
        self._ear.journal.reset()


RACES = {
    "logoutConnecting": "logout_connecting",
    "logoutOpen": "logout_open",
    "deleteConnecting": "delete_connecting",
    "deleteOpen": "delete_open",
}


def answering(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler as aiohttp wants it: JSON in, JSON out, refusals as 409 and bad calls as 400."""

    async def answer(request: web.Request) -> web.Response:
        try:
            text = await request.text()
            result = await handler(request, json.loads(text) if text else {})
        except RefusedError as error:
            return web.json_response({"error": str(error)}, status=409)
        except (KeyError, TypeError, ValueError) as error:
            return web.json_response({"error": f"bad request: {error!r}"}, status=400)
        return web.json_response(result)

    return answer
