"""A server that comes, goes, and comes back: what was counted before counts for nothing, and all is counted anew."""

from __future__ import annotations

from typing import Any

from support import servers, simulated
from support.servers import Cluster, Told
from whatsapp_operator.engine.catalogue import Catalogue
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.handover import Handover
from whatsapp_operator.engine.reconciler import Reconciler
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.servers import Servers
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.resources import instance


class Telling(Told):
    """Telemetry whose gauges nobody reads."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


async def listed() -> bool:
    return True


def a_house() -> tuple[Context, Server, Catalogue, Handover]:
    one = servers.a_server(instances=0)
    context = servers.a_context(simulated.Time(), one, Cluster(), telemetry=Telling())
    catalogue = Catalogue(context)
    handover = Handover(context, Servers(context, StatusWriter(context)), list_anew=listed)
    return context, one, catalogue, handover


def a_resource(*, version: int, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "shop", "namespace": "messaging", "uid": "u", "resourceVersion": str(version)}
    return {"metadata": metadata | {"generation": version}, "spec": {"serverRef": {"name": "main"}} | spec}


async def look_at_all(context: Context) -> None:
    """All that is queued, as a worker does it."""
    reconciler = Reconciler(context, StatusWriter(context))
    for one in list(context.subjects.values()):
        await reconciler.look(one)


async def test_server_with_an_instance_whose_spec_is_not_understood_is_surveyed_after_each_handover() -> None:
    context, one, catalogue, handover = a_house()
    catalogue.saw(instance.KIND, "ADDED", a_resource(version=1))
    catalogue.saw(instance.KIND, "MODIFIED", a_resource(version=2, instanceName="no spaces please"))
    await look_at_all(context)
    assert one.surveyed

    for _ in range(3):
        handover.lost(one.key)
        handover.gained(one.key)
        await look_at_all(context)

        assert one.surveyed
        assert one.standings.total == 1
