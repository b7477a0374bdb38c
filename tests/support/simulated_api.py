"""The simulated API server behind the interface of the operator's own transport."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from simulation.kubernetes import answers, log, place, server

from support import simulated
from whatsapp_operator.cluster import transport


def _server() -> server.ApiServer:
    return server.ApiServer(now=simulated.Time().now, chance=Random(0))  # noqa: S311 - of uids


@dataclass
class Simulated:
    """Calls that take no time, to a server with one namespace."""

    api: server.ApiServer = field(default_factory=_server)

    def with_namespace(self, name: str) -> Simulated:
        """Create a namespace."""
        body = {"metadata": {"name": name}}
        path = transport.path("api", "v1", "namespaces", name)
        self.api.handle(transport.Call("create", "namespaces", path, body=body), writer="user")
        return self

    async def call(self, call: transport.Call) -> Mapping[str, object]:
        """As `cluster.transport.Transport`."""
        answer = self.api.handle(call, writer="operator")
        return transport.judged(call, answer.status, answer.body)

    async def text(self, call: transport.Call) -> str:
        """As `cluster.transport.Transport`; of a watch, what it tells until now and a bookmark."""
        query = dict(call.query)
        return self._told(call, query) if "watch" in query else json.dumps(await self.call(call))

    def _told(self, call: transport.Call, query: Mapping[str, str]) -> str:
        where = place.read(call.path)
        assert where is not None
        try:
            changes = self.api.log.since(int(query["resourceVersion"]), log.Stream(where.kind, where.namespace))
        except answers.Refused as refusal:
            return json.dumps({"type": "ERROR", "object": refusal.answer.body})
        mark = {"kind": where.kind.kind, "metadata": {"resourceVersion": str(self.api.version)}}
        events = [{"type": one.type, "object": one.told} for one in changes]
        return "\n".join(map(json.dumps, [*events, {"type": "BOOKMARK", "object": mark}]))
