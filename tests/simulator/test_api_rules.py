"""Rules of the HTTP interface that the recordings do not touch."""

import pytest

from simulator.conftest import Bench

HOOK = "http://127.0.0.1:9/hook"
REQUIRED = dict.fromkeys(
    ("rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory"), False
)


async def test_query_overrides_the_path_after_authentication(bench: Bench) -> None:
    await bench.create("mine")
    await bench.create("other")

    answer = await bench.request("DELETE", "/instance/delete/mine?instanceName=other", key="token-mine")
    bench.pass_time(1)

    assert answer.status_code == 200
    assert await bench.state("mine") == "close"
    assert await bench.state("other") == "absent"


async def test_name_is_checked_before_the_key(bench: Bench) -> None:
    await bench.create("one")

    assert (await bench.request("GET", "/instance/connectionState/none", key="wrong")).status_code == 404
    assert (await bench.request("GET", "/instance/connectionState/one", key="wrong")).status_code == 401
    body = {"instanceName": "one", "integration": "WHATSAPP-BAILEYS"}
    assert (await bench.request("POST", "/instance/create", json=body, key="wrong")).status_code == 403


async def test_instance_token_lists_its_own_row_and_cannot_create(bench: Bench) -> None:
    await bench.create("one")
    await bench.create("two")

    rows = (await bench.request("GET", "/instance/fetchInstances", key="token-one")).json()
    body = {"instanceName": "three", "integration": "WHATSAPP-BAILEYS"}
    refused = await bench.request("POST", "/instance/create", json=body, key="token-one")

    assert [row["name"] for row in rows] == ["one"]
    assert refused.status_code == 401


@pytest.mark.parametrize("setting", ["msgCall", "wavoipToken", "rejectCall"])
async def test_create_takes_no_null_for_a_setting(bench: Bench, setting: str) -> None:
    assert (await bench.create("one", **{setting: None})).status_code == 400


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"webhook": {"enabled": True, "url": HOOK}}, "Cannot read properties of undefined (reading 'length')"),
        ({"proxyHost": "p", "proxyPort": "1", "proxyProtocol": "http"}, "Invalid proxy"),
        ({"chatwootAccountId": "1", "chatwootToken": "t", "chatwootUrl": "u"}, "Chatwoot is not enabled"),
    ],
)
async def test_error_after_the_row_was_written_deletes_the_name_again(
    bench: Bench, values: dict[str, object], text: str
) -> None:
    await bench.control("POST", "/internet", {"down": True})
    answer = await bench.create("one", **values)

    assert (answer.status_code, answer.json()["response"]["message"]) == (400, [text])
    assert (await bench.create("one")).status_code == 403
    bench.pass_time(1)
    assert (await bench.create("one")).status_code == 201


async def test_create_ignores_a_disabled_webhook_and_stores_it_enabled(bench: Bench) -> None:
    await bench.create("one", webhook={"enabled": False, "url": HOOK, "events": ["CONNECTION_UPDATE"]})

    stored = (await bench.request("GET", "/webhook/find/one")).json()

    assert (stored["enabled"], stored["events"]) == (True, ["CONNECTION_UPDATE"])


async def test_name_that_is_too_long_is_refused_with_the_database_error(bench: Bench) -> None:
    answer = await bench.create("x" * 256)

    assert answer.status_code == 400
    assert "Setting_instanceId_fkey" in answer.text


async def test_name_with_any_character_works_when_encoded(bench: Bench) -> None:
    await bench.create("a/b ü?")

    assert (await bench.request("GET", "/instance/connectionState/a%2Fb%20%C3%BC%3F")).status_code == 200


@pytest.mark.parametrize("name", ["__proto__", "constructor"])
async def test_names_of_javascript_seem_to_exist(bench: Bench, name: str) -> None:
    assert (await bench.create(name)).status_code == 403


async def test_broken_json_is_a_400_that_calls_itself_a_500(bench: Bench) -> None:
    answer = await bench.http.post("/instance/create", content=b"{", headers={"apikey": "x"})

    assert (answer.status_code, answer.json()["error"]) == (400, "Internal Server Error")


async def test_omitted_webhook_fields_keep_their_value(bench: Bench) -> None:
    await bench.create("one")
    first = {"enabled": True, "url": HOOK, "events": ["CALL"], "headers": {"k": "v"}, "byEvents": True}
    await bench.request("POST", "/webhook/set/one", json={"webhook": first})

    second = {"enabled": True, "url": HOOK, "events": ["CALL"]}
    stored = (await bench.request("POST", "/webhook/set/one", json={"webhook": second})).json()

    assert (stored["headers"], stored["webhookByEvents"]) == ({"k": "v"}, True)


async def test_settings_answer_repeats_the_request_while_the_store_keeps_what_it_knows(bench: Bench) -> None:
    await bench.create("one")

    answer = await bench.request("POST", "/settings/set/one", json=REQUIRED | {"unknown": 1})
    stored = (await bench.request("GET", "/settings/find/one")).json()

    assert answer.json()["settings"]["settings"]["unknown"] == 1
    assert "unknown" not in stored


async def test_wavoip_token_closes_the_live_connection_and_stores(bench: Bench) -> None:
    await bench.create_open()

    answer = await bench.request("POST", "/settings/set/one", json=REQUIRED | {"wavoipToken": "t"})

    assert answer.status_code == 201
    assert await bench.state() == "close"
    bench.pass_time(1)
    assert await bench.state() == "open"


async def test_wavoip_token_of_a_never_connected_instance_is_stored_though_it_fails(bench: Bench) -> None:
    await bench.create("one")

    answer = await bench.request("POST", "/settings/set/one", json=REQUIRED | {"wavoipToken": "t"})

    assert answer.status_code == 500
    assert (await bench.request("GET", "/settings/find/one")).json()["wavoipToken"] == "t"


async def test_memory_and_database_disagree_after_the_row_was_deleted(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S2")

    assert (await bench.request("GET", "/instance/fetchInstances?instanceName=one")).json() == []
    assert (await bench.request("GET", "/instance/connectionState/one", key="token-one")).status_code == 401
    assert (await bench.request("POST", "/settings/set/one", json=REQUIRED)).status_code == 500


async def test_orphan_of_a_deleted_instance_logs_out_its_successor_at_the_qr_limit(bench: Bench) -> None:
    await bench.control("POST", "/whatsapp", {"reach": "refused"})
    await bench.create("one")
    await bench.request("GET", "/instance/connect/one")
    while bench.world.memory["one"].state != "close":
        bench.pass_time(0.02)
    await bench.request("DELETE", "/instance/delete/one")
    bench.pass_time(1)
    await bench.control("POST", "/whatsapp", {"reach": "reachable"})
    await bench.create_open()

    bench.pass_time(30 * 60)

    row = await bench.row()
    assert row is not None
    assert (row["connectionStatus"], row["disconnectionReasonCode"]) == ("close", 401)
