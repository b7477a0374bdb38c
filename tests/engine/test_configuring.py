"""Settings and webhook are brought to what the spec says, also while the server is lost to another replica."""

from __future__ import annotations

from typing import Any, cast

from engine.test_burden import House, draft_of
from whatsapp_operator.engine import configuration
from whatsapp_operator.engine.server import Server
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState

WEBHOOK = {"url": "https://shop.example.com/hook", "events": ["CALL"]}
LOST = evidence.Unknown(evidence.Ignorance.NOT_HELD)


class Losing:
    """A client that its server loses while a webhook is read; fenced, it then answers nothing that proves anything."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def find_webhook(self, _name: str) -> None:
        self._server.client = None

    async def set_webhook(self, _name: str, _webhook: evidence.Webhook) -> evidence.Unknown:
        return LOST


async def test_server_that_is_lost_while_its_webhook_is_read_leaves_the_configuration_pending() -> None:
    house = House("shop", webhook=WEBHOOK)
    await house.observed(60)
    house.server.warm_up = type(house.server.warm_up)(done=True)
    house.server.client = cast("Any", Losing(house.server))
    draft = draft_of(house, "shop", Verdict(HealthState.HEALTHY, Reason.HEALTHY))

    assert await configuration.synchronise(house.context, house.server, draft) is Reason.CONFIGURATION_PENDING
