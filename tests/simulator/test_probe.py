"""`fetchBusinessProfile`, the only call that makes a round trip to WhatsApp."""

import asyncio
from typing import Any

import httpx
import pytest

from simulator import repairs
from simulator.conftest import KEY, Bench, Start

CLOSED = (500, ["Error updating profile name", "Error: Connection Closed"])
BODY = {"number": "5511999990001"}
PATH = "/chat/fetchBusinessProfile/one"


async def probe(bench: Bench) -> tuple[int, Any]:
    """Status, and the message of an error or the body."""
    return told(await bench.request("POST", PATH, json=BODY))


def told(answer: httpx.Response) -> tuple[int, Any]:
    """An answer in short."""
    body = answer.json()
    return answer.status_code, body["response"]["message"] if answer.status_code >= 400 else body


async def begin(bench: Bench) -> asyncio.Task[httpx.Response]:
    """A probe whose answer is not waited for."""
    request = bench.http.post(PATH, json=BODY, headers={"apikey": KEY}, timeout=10)
    task = asyncio.ensure_future(request)
    async with asyncio.timeout(5):
        while bench.simulator.listener.waiting == 0:
            await bench.control("GET", "/clock")
    return task


@pytest.mark.parametrize("version", ["2.3.6", "2.3.7"])
async def test_healthy_instance_answers_from_whatsapp(start: Start, version: str) -> None:
    bench = await start(version)
    await bench.create_open()

    jid = "5511999990001@s.whatsapp.net"
    profile = {"isBusiness": False, "message": "Not is business profile", "jid": jid, "exists": False, "number": jid}
    assert await probe(bench) == (200, profile)


@pytest.mark.parametrize("version", ["2.3.6", "2.3.7"])
async def test_dead_socket_is_closed_though_everything_else_says_open(start: Start, version: str) -> None:
    bench = await start(version)
    await bench.create_open()
    await bench.break_("one", "S3")

    assert await probe(bench) == CLOSED
    assert await bench.state() == "open"


async def test_probe_changes_nothing(bench: Bench) -> None:
    await bench.create_open()
    before = await bench.row()

    for _ in range(5):
        await probe(bench)
        bench.pass_time(1)

    assert await bench.row() == before
    routes = (await bench.control("GET", "/calls?mutating=true&instance=one"))["calls"]
    assert [call["route"] for call in routes] == ["create"]


@pytest.mark.parametrize("reach", ["refused", "silent", "stalled"])
async def test_connection_that_whatsapp_ended_is_closed(bench: Bench, reach: str) -> None:
    await bench.create_open()

    await bench.control("POST", "/whatsapp", {"reach": reach})

    assert await probe(bench) == CLOSED


async def test_vanishing_packets_leave_the_probe_without_an_answer_until_the_connection_is_given_up(
    bench: Bench,
) -> None:
    await bench.create_open()
    await bench.control("POST", "/whatsapp", {"reach": "blackholed"})
    hanging = await begin(bench)

    bench.pass_time(50)
    await bench.control("GET", "/clock")
    assert not hanging.done()
    assert await bench.state() == "open"

    bench.pass_time(10)
    assert told(await hanging) == CLOSED
    assert await bench.state() == "connecting"


async def test_packets_that_arrive_again_answer_the_probe_and_keep_the_connection(bench: Bench) -> None:
    await bench.create_open()
    await bench.control("POST", "/whatsapp", {"reach": "blackholed", "instance": "one"})
    hanging = await begin(bench)
    bench.pass_time(30)

    await bench.control("POST", "/whatsapp", {"reach": "reachable", "instance": "one"})
    bench.pass_time(2)

    assert (await hanging).status_code == 200
    assert set(bench.states_over(120, every=1)) == {"open"}


async def test_instance_comes_back_from_vanished_packets_by_itself(bench: Bench) -> None:
    await bench.create_open()
    await bench.control("POST", "/whatsapp", {"reach": "blackholed"})
    bench.pass_time(200)
    assert await bench.state() == "connecting"

    await bench.control("POST", "/whatsapp", {"reach": "reachable"})
    bench.pass_time(31)

    assert str(await repairs.look(bench)) == str(repairs.HEALTHY)


async def test_probe_that_hangs_is_cut_when_the_process_ends(bench: Bench) -> None:
    await bench.create_open()
    await bench.control("POST", "/whatsapp", {"reach": "blackholed"})
    hanging = await begin(bench)

    await bench.control("POST", "/server/down", {})

    with pytest.raises(httpx.TransportError):
        await hanging


@pytest.mark.parametrize(
    ("integration", "text"),
    [
        ("WHATSAPP-BUSINESS", "Method not available on WhatsApp Business API"),
        ("EVOLUTION", "Method not available on Evolution Channel"),
    ],
)
async def test_other_channels_have_no_probe(bench: Bench, integration: str, text: str) -> None:
    await bench.create("one", integration=integration, number="1", token="t")  # noqa: S106  # a made-up token

    assert await probe(bench) == (400, [text])
    answer = await bench.request("POST", "/instance/setPresence/one", json={"presence": "available"})
    assert told(answer) == (400, [text])


async def test_instance_that_never_connected_has_no_client_to_ask(bench: Bench) -> None:
    await bench.create("one")

    status, (text, cause) = await probe(bench)

    assert (status, text) == (500, "Error updating profile name")
    assert cause.startswith("TypeError: Cannot read properties of undefined")


async def test_ghost_cannot_be_probed(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S1")

    assert await probe(bench) == (500, "Cannot read properties of undefined (reading 'fetchBusinessProfile')")
