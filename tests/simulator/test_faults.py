"""Faults of the HTTP side: what the client gets, and whether the request had its effect."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from simulator.conftest import KEY, Bench

CREATE = {"instanceName": "one", "integration": "WHATSAPP-BAILEYS"}


async def fault(bench: Bench, kind: str, **rule: Any) -> None:
    """Switch a fault on."""
    await bench.control("POST", "/faults", {"kind": kind, **rule})


def created(bench: Bench) -> bool:
    """Whether a create had its effect."""
    return "one" in bench.world.database.rows


def begin_create(bench: Bench) -> asyncio.Task[httpx.Response]:
    """A create that is not waited for."""
    request = bench.http.post("/instance/create", json=CREATE, headers={"apikey": KEY})
    return asyncio.ensure_future(request)


async def arrived(bench: Bench, count: int) -> None:
    """Wait until that many requests have reached the server."""
    async with asyncio.timeout(5):
        while bench.simulator.listener.journal.received < count:
            await bench.control("GET", "/clock")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_status_is_answered_without_effect(bench: Bench, status: int) -> None:
    await fault(bench, "status", route="create", status=status)

    answer = await bench.create("one")

    assert answer.status_code == status
    assert not created(bench)


async def test_html_page_is_answered_without_effect(bench: Bench) -> None:
    await fault(bench, "html", status=502)

    answer = await bench.create("one")

    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")
    assert answer.text.startswith("<html>")
    assert not created(bench)


async def test_truncated_answer_is_no_json_and_the_effect_happened(bench: Bench) -> None:
    await fault(bench, "truncated", route="create")

    answer = await bench.create("one")

    assert answer.status_code == 201
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert created(bench)


@pytest.mark.parametrize(("kind", "effect"), [("refused", False), ("reset", True)])
async def test_cut_connection_has_its_effect_only_when_cut_after_it(bench: Bench, kind: str, effect: bool) -> None:
    await fault(bench, kind, route="create")

    with pytest.raises(httpx.TransportError):
        await bench.create("one")

    assert created(bench) is effect
    assert bench.simulator.listener.journal.entries[-1].status is None


@pytest.mark.parametrize(("kind", "effect"), [("hold-before", False), ("hold-after", True)])
async def test_held_request_is_answered_when_released(bench: Bench, kind: str, effect: bool) -> None:
    await fault(bench, kind, route="create")
    held = begin_create(bench)
    await arrived(bench, 1)
    bench.pass_time(3600)
    assert created(bench) is effect
    assert not held.done()

    await bench.control("POST", "/release", {})

    assert (await held).status_code == 201
    assert created(bench)


async def test_half_open_connection_is_never_answered_and_has_no_effect(bench: Bench) -> None:
    await fault(bench, "half-open", route="create")
    held = begin_create(bench)
    await arrived(bench, 1)
    assert not held.done()

    await bench.control("POST", "/release", {})

    with pytest.raises(httpx.TransportError):
        await held
    assert not created(bench)


async def test_held_request_has_its_effect_even_when_the_client_gave_up(bench: Bench) -> None:
    await fault(bench, "hold-before", route="create")
    held = begin_create(bench)
    await arrived(bench, 1)
    held.cancel()
    await asyncio.wait([held])

    await bench.control("POST", "/release", {})
    await bench.control("GET", "/clock")

    assert created(bench)


async def test_latency_passes_before_the_effect(bench: Bench) -> None:
    await fault(bench, "latency", route="create", seconds=10)
    slow = begin_create(bench)
    await arrived(bench, 1)
    bench.pass_time(9)
    assert not created(bench)

    bench.pass_time(2)

    assert (await slow).status_code == 201


async def test_fault_spoils_only_what_it_names_and_as_often_as_it_says(bench: Bench) -> None:
    await bench.create("one")
    await bench.create("two")
    await fault(bench, "status", method="GET", path="/instance/*", instance="one", count=1)

    answers = [
        (await bench.request("GET", path)).status_code
        for path in (
            "/instance/connectionState/two",
            "/settings/find/one",
            "/instance/connectionState/one",
            "/instance/connectionState/one",
        )
    ]

    assert answers == [200, 200, 503, 200]
    assert (await bench.control("GET", "/faults"))[0]["hits"] == 1


async def test_switched_off_fault_spoils_nothing(bench: Bench) -> None:
    await fault(bench, "status")

    await bench.control("DELETE", "/faults")

    assert (await bench.request("GET", "/")).status_code == 200
