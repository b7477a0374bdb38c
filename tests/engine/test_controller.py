"""Workers leave room for everything else that runs in the same loop."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from engine.test_burden import House
from whatsapp_operator.engine import controller
from whatsapp_operator.engine.context import Item
from whatsapp_operator.engine.ports import Key


async def test_thousand_looks_that_wait_for_nothing_do_not_hold_up_the_others() -> None:
    house = House()
    cast("Any", house.context).sleep = asyncio.sleep
    for number in range(1000):
        house.context.queue.add(Item("WhatsAppInstance", Key("messaging", f"gone-{number}")))
    leading = cast("Any", None)  # never asked: nothing is started but this worker
    built = controller.Controller(house.context, leading, namespace="operators")
    work = asyncio.create_task(built._work())  # noqa: SLF001 - `start` would list too

    turns = 0
    while house.context.queue.depth:
        await asyncio.sleep(0)
        turns += 1
    house.context.queue.close()
    await work

    assert turns > 100
