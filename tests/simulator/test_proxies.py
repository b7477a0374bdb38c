"""Instances behind proxies: how one is stored and shown, and who loses WhatsApp with it."""

from typing import Any

import pytest

from simulator import repairs
from simulator.conftest import Bench

SQUID = {"enabled": True, "host": "squid", "port": "3128", "protocol": "http", "username": "u", "password": "secret"}
NONE = {"enabled": False, "host": "-", "port": "-", "protocol": "-"}
CREATE = {f"proxy{key.capitalize()}": value for key, value in SQUID.items() if key != "enabled"}
KEYS = ["id", "enabled", "host", "port", "protocol", "username", "password", "createdAt", "updatedAt", "instanceId"]


async def set_proxy(bench: Bench, proxy: dict[str, Any], *, name: str = "one") -> tuple[int, Any]:
    """`proxy/set`: status and body."""
    answer = await bench.request("POST", f"/proxy/set/{name}", json=proxy)
    return answer.status_code, answer.json()


async def find_proxy(bench: Bench) -> Any:
    """`proxy/find`."""
    return (await bench.request("GET", "/proxy/find/one")).json()


async def listed(bench: Bench) -> Any:
    """`Proxy` of the row in the list."""
    row = await bench.row()
    assert row is not None
    return row["Proxy"]


async def test_instance_without_a_proxy_shows_null(bench: Bench) -> None:
    await bench.create("one")

    assert (await find_proxy(bench), await listed(bench)) == (None, None)


async def test_created_proxy_is_stored_and_listed_with_its_password(bench: Bench) -> None:
    answer = await bench.create("one", **CREATE)

    assert answer.status_code == 201
    assert "proxy" not in answer.json()
    found = await find_proxy(bench)
    assert list(found) == KEYS
    assert {key: found[key] for key in SQUID} == SQUID
    assert await listed(bench) == found
    row = await bench.row()
    assert row is not None
    assert found["instanceId"] == row["id"]


async def test_proxy_set_repeats_the_request_and_replaces_what_was_there(bench: Bench) -> None:
    await bench.create("one", **CREATE)
    other = SQUID | {"host": "other", "password": "rotated"}
    assert (await listed(bench))["host"] == "squid"

    assert await set_proxy(bench, other) == (201, {"proxy": {"instanceName": "one", "proxy": other}})

    assert {key: (await listed(bench))[key] for key in other} == other


async def test_proxy_that_is_disabled_keeps_its_row_with_empty_texts(bench: Bench) -> None:
    await bench.create("one", **CREATE)

    assert (await set_proxy(bench, NONE))[0] == 201

    found = await find_proxy(bench)
    empty = dict.fromkeys(("host", "port", "protocol", "username", "password"), "")
    assert {key: found[key] for key in SQUID} == {"enabled": False, **empty}


@pytest.mark.parametrize("field", ["enabled", "host", "port", "protocol"])
async def test_required_field_is_required_even_to_disable(bench: Bench, field: str) -> None:
    await bench.create("one")

    status, body = await set_proxy(bench, {key: value for key, value in NONE.items() if key != field})

    assert (status, body["response"]["message"]) == (400, [[f'instance requires property "{field}"']])


@pytest.mark.parametrize(
    ("change", "text"),
    [({"port": 3128}, "port is not of a type(s) string"), ({"host": ""}, 'The "host" cannot be empty')],
)
async def test_wrong_value_is_refused_and_not_stored(bench: Bench, change: dict[str, Any], text: str) -> None:
    await bench.create("one")

    status, body = await set_proxy(bench, SQUID | change)

    assert (status, body["response"]["message"]) == (400, [[text]])
    assert await listed(bench) is None


async def test_create_refuses_a_port_that_is_a_number(bench: Bench) -> None:
    answer = await bench.create("one", **(CREATE | {"proxyPort": 3128}))

    assert answer.status_code == 400
    assert answer.json()["response"]["message"] == [["proxyPort is not of a type(s) string"]]
    assert await bench.state() == "absent"


async def test_new_proxy_without_user_and_password_says_201_and_is_not_stored(bench: Bench) -> None:
    await bench.create("one")
    bare = {key: SQUID[key] for key in ("enabled", "host", "port", "protocol")}

    assert (await set_proxy(bench, bare))[0] == 201

    assert await listed(bench) is None


async def test_proxy_set_while_the_database_is_away_says_201_and_is_lost(bench: Bench) -> None:
    await bench.create("one")
    await bench.control("POST", "/database", {"down": True})

    assert (await set_proxy(bench, SQUID))[0] == 201

    await bench.control("POST", "/database", {"down": False})
    assert await listed(bench) is None


async def test_proxy_is_invalid_without_internet_and_disabling_needs_none(bench: Bench) -> None:
    await bench.create("one")
    await bench.control("POST", "/internet", {"down": True})

    status, body = await set_proxy(bench, SQUID)
    assert (status, body["response"]["message"]) == (400, ["Invalid proxy"])
    assert await listed(bench) is None
    assert (await set_proxy(bench, NONE))[0] == 201

    await bench.control("POST", "/internet", {"down": False})
    assert (await set_proxy(bench, SQUID))[0] == 201


async def test_ghost_has_no_proxy_route(bench: Bench) -> None:
    await bench.create("one", **CREATE)
    await bench.break_("one", "S1")

    status, body = await set_proxy(bench, SQUID)

    assert (status, body["response"]["message"]) == (404, ['The "one" instance does not exist'])
    assert (await bench.request("GET", "/proxy/find/one")).status_code == 404
    assert (await listed(bench))["host"] == "squid"


async def test_proxy_goes_with_the_row(bench: Bench) -> None:
    await bench.create("one", **CREATE)
    await repairs.delete(bench)
    bench.pass_time(1)

    await bench.create("one")

    assert await listed(bench) is None


async def fleet(bench: Bench) -> None:
    """Two open instances behind one proxy, one behind another, one without."""
    for name, host in (("one", "squid"), ("two", "squid"), ("other", "other"), ("direct", "")):
        proxy = CREATE | {"proxyHost": host} if host else {}
        await bench.create(name, **proxy)
        await bench.control("POST", f"/instances/{name}/pair", {})


def open_names(bench: Bench) -> set[str]:
    """Instances that are open over two seconds."""
    for _ in range(20):
        bench.pass_time(0.1)
    names = set(bench.world.memory)
    return {name for name in names if set(bench.states_over(1, name=name, every=0.1)) == {"open"}}


@pytest.mark.parametrize("reach", ["refused", "silent", "stalled", "blackholed"])
async def test_proxy_that_loses_whatsapp_takes_along_those_behind_it_and_nobody_else(bench: Bench, reach: str) -> None:
    await fleet(bench)

    await bench.control("POST", "/whatsapp", {"reach": reach, "proxy": "squid:3128"})
    bench.pass_time(60)
    assert open_names(bench) == {"other", "direct"}

    await bench.control("POST", "/whatsapp", {"reach": "reachable", "proxy": "squid:3128"})
    bench.pass_time(60)
    for name in ("one", "two") if reach == "silent" else ():
        await bench.request("POST", f"/instance/restart/{name}")
    bench.pass_time(5)
    assert open_names(bench) == {"one", "two", "other", "direct"}


async def test_those_without_a_proxy_can_lose_whatsapp_alone(bench: Bench) -> None:
    await fleet(bench)

    await bench.control("POST", "/whatsapp", {"reach": "refused", "proxy": ""})

    assert open_names(bench) == {"one", "two", "other"}


async def test_server_restart_does_not_bring_a_dead_proxy_back(bench: Bench) -> None:
    await fleet(bench)
    await bench.control("POST", "/whatsapp", {"reach": "refused", "proxy": "squid:3128"})

    await repairs.replace_process(bench)
    bench.pass_time(5)

    assert open_names(bench) == {"other", "direct"}


async def test_changed_proxy_counts_from_the_next_connection_on(bench: Bench) -> None:
    await fleet(bench)
    await set_proxy(bench, SQUID | {"host": "other"})
    await bench.control("POST", "/whatsapp", {"reach": "refused", "proxy": "other:3128"})
    assert open_names(bench) == {"one", "two", "direct"}

    await repairs.restart(bench)
    bench.pass_time(2)

    assert open_names(bench) == {"two", "direct"}


async def test_reach_of_an_instance_and_of_a_proxy_are_not_set_in_one_call(bench: Bench) -> None:
    with pytest.raises(Exception, match="409"):
        await bench.control("POST", "/whatsapp", {"reach": "refused", "proxy": "squid:3128", "instance": "one"})


async def test_control_api_names_the_proxy_and_never_its_password(bench: Bench) -> None:
    await bench.create("one", **CREATE)

    inside = await bench.control("GET", "/instances/one")

    assert inside["proxy"] == "squid:3128"
    assert "secret" not in str(inside)
    assert "secret" not in str(await bench.control("GET", "/calls"))
