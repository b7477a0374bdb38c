"""The server as a whole: starts, outages, keys, identity, and a database that is away."""

import asyncio

import httpx
import pytest

from simulator.conftest import KEY, Bench, Start


async def seed(bench: Bench, count: int, state: str = "open", prefix: str = "instance") -> list[str]:
    """Make instances."""
    body = {"count": count, "state": state, "prefix": prefix}
    names: list[str] = (await bench.control("POST", "/seed", body))["names"]
    return names


async def total(bench: Bench) -> int:
    """`evolution_instances_total`."""
    text = (await bench.request("GET", "/metrics")).text
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("evolution_instances_total"))


async def test_rows_load_one_after_another_and_are_ghosts_until_then(bench: Bench) -> None:
    await seed(bench, 4)
    await bench.control("POST", "/server/restart", {"loadSeconds": 1})

    assert await total(bench) == 0
    assert await bench.state("instance-00003") is None
    bench.pass_time(2.1)
    assert await total(bench) == 2

    bench.pass_time(5)

    assert await total(bench) == 4
    assert await bench.state("instance-00003") == "open"


@pytest.mark.parametrize(("version", "state"), [("2.3.6", "connecting"), ("2.3.7", "close")])
async def test_closed_rows_start_only_on_2_3_6(start: Start, version: str, state: str) -> None:
    bench = await start(version)
    await bench.create("one")

    await bench.control("POST", "/server/restart", {})
    bench.pass_time(1)

    assert await bench.state() == state


async def test_row_that_fails_to_load_stays_a_ghost_until_the_next_restart(bench: Bench) -> None:
    await bench.create_open()
    await bench.control("POST", "/server/restart", {"ghosts": ["one"]})
    bench.pass_time(3600)
    assert await bench.state() is None

    await bench.control("POST", "/server/restart", {})
    bench.pass_time(1)

    assert await bench.state() == "open"


async def test_server_is_away_while_it_restarts(bench: Bench) -> None:
    await bench.create_open()
    await bench.control("POST", "/server/restart", {"downSeconds": 10})

    with pytest.raises(httpx.ConnectError):
        await bench.state()

    await bench.control("POST", "/clock", {"advance": 12})
    assert await bench.state() == "open"


async def test_request_that_waits_is_cut_when_the_server_restarts(bench: Bench) -> None:
    await bench.create("one")
    headers = {"apikey": KEY}
    waiting = asyncio.ensure_future(bench.http.get("/instance/connect/one", headers=headers))
    async with asyncio.timeout(5):
        while bench.simulator.listener.waiting == 0:
            await bench.control("GET", "/clock")

    await bench.control("POST", "/server/restart", {})

    with pytest.raises(httpx.TransportError):
        await waiting


@pytest.mark.parametrize("listener_only", [True, False])
async def test_server_that_is_down_refuses_connections_and_comes_back(bench: Bench, listener_only: bool) -> None:
    await bench.create_open()
    await bench.control("POST", "/server/down", {"listenerOnly": listener_only})
    with pytest.raises(httpx.TransportError):
        await bench.state()

    await bench.control("POST", "/server/up", {})
    bench.pass_time(1)

    assert await bench.state() == "open"


async def test_old_key_is_refused_after_a_rotation(bench: Bench) -> None:
    await bench.control("POST", "/api-key", {"apiKey": "new-key"})

    assert (await bench.request("POST", "/verify-creds")).status_code == 401
    assert (await bench.request("POST", "/verify-creds", key="new-key")).status_code == 200


async def test_changed_client_name_shows_everywhere(bench: Bench) -> None:
    await bench.create("one")
    await bench.request("GET", "/instance/fetchInstances")
    await bench.request("GET", "/metrics")

    await bench.control("POST", "/client-name", {"clientName": "another"})

    row = await bench.row()
    assert row is not None
    assert row["clientName"] == "another"
    assert 'clientName="another"' in (await bench.request("GET", "/metrics")).text
    assert (await bench.request("GET", "/")).json()["clientName"] == "another"


async def test_version_change_is_a_restart_as_another_version(bench: Bench) -> None:
    await bench.control("POST", "/version", {"version": "2.3.6"})

    assert (await bench.request("GET", "/")).json()["version"] == "2.3.6"


@pytest.mark.parametrize(
    ("auth", "given", "status", "text"),
    [
        ("prom:secret", None, 401, "Authentication required"),
        ("prom:secret", ("prom", "wrong"), 401, "Invalid credentials"),
        ("prom:secret", ("prom", "secret"), 200, "# HELP"),
        (":", ("prom", "secret"), 500, "Metrics authentication not configured"),
    ],
)
async def test_metrics_can_ask_for_a_password(
    start: Start, auth: str, given: tuple[str, str] | None, status: int, text: str
) -> None:
    bench = await start("2.3.7", "--metrics-auth", auth)

    answer = await bench.http.request("GET", "/metrics", auth=given)

    assert answer.status_code == status
    assert answer.text.startswith(text)


async def test_metrics_can_be_off(start: Start) -> None:
    bench = await start("2.3.7", "--no-metrics")

    assert (await bench.request("GET", "/metrics")).status_code == 404


async def test_database_that_is_down_leaves_memory_answering(bench: Bench) -> None:
    await bench.create_open()
    await bench.create("closed")
    await bench.control("POST", "/database", {"down": True})

    answers = {
        path: (await bench.request(method, path)).status_code
        for method, path in (
            ("GET", "/instance/connectionState/one"),
            ("GET", "/instance/connectionState/unknown"),
            ("GET", "/instance/fetchInstances"),
            ("POST", "/verify-creds"),
            ("GET", "/metrics"),
            ("DELETE", "/instance/delete/closed"),
        )
    }

    assert answers == {
        "/instance/connectionState/one": 200,
        "/instance/connectionState/unknown": 500,
        "/instance/fetchInstances": 500,
        "/verify-creds": 200,
        "/metrics": 200,
        "/instance/delete/closed": 200,
    }
    token = await bench.request("GET", "/instance/connectionState/one", key="token-one")
    assert token.status_code == 401
    await bench.control("POST", "/database", {"down": False})
    bench.pass_time(5)
    assert await bench.state("closed") == "close"


async def test_deletion_is_asynchronous_and_the_name_taken_meanwhile(bench: Bench) -> None:
    await bench.create("one")
    await bench.request("DELETE", "/instance/delete/one")
    assert await bench.state() is None
    assert (await bench.create("one")).status_code == 403

    bench.pass_time(0.7)

    assert await bench.state() == "absent"
    assert (await bench.create("one")).status_code == 201


async def test_journal_holds_every_request_in_order_and_never_a_key(bench: Bench) -> None:
    await bench.create("one")
    await bench.request("GET", f"/instance/connect/one?number=1&apikey={KEY}")
    await bench.request("GET", "/instance/connectionState/one")
    await bench.request("GET", "/nowhere")

    seen = await bench.control("GET", "/calls")
    changing = await bench.control("GET", "/calls?instance=one&mutating=true")

    assert [call["route"] for call in seen["calls"]] == ["create", "connect", "connectionState", None]
    assert [call["status"] for call in seen["calls"]] == [201, 200, 200, 404]
    assert [call["route"] for call in changing["calls"]] == ["create", "connect"]
    assert KEY not in str(seen)


async def test_ten_thousand_instances_are_listed_from_what_was_rendered_before(bench: Bench) -> None:
    await seed(bench, 10_000)

    rows = (await bench.request("GET", "/instance/fetchInstances")).json()

    assert len(rows) == 10_000
    assert await total(bench) == 10_000
    assert all(row.rendered for row in bench.world.database.rows.values())
