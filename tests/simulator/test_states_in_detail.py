"""What the table of states cannot say: what the refusals are, and what each state leaves behind."""

import itertools

import httpx
import pytest

from simulator import repairs
from simulator.conftest import Bench, Start


async def statuses(bench: Bench, *lines: str) -> list[int]:
    """The statuses of requests, each `METHOD action`."""
    return [(await bench.request(line.split()[0], f"/instance/{line.split()[1]}/one")).status_code for line in lines]


async def until_open(bench: Bench) -> None:
    """Wait for a moment in which it is open."""
    while bench.world.memory["one"].state != "open":
        bench.pass_time(0.01)


@pytest.mark.parametrize("state", ["S3", "S4", "S17"])
async def test_2_3_7_refuses_to_log_out_or_delete_a_paired_zombie_however_often(bench: Bench, state: str) -> None:
    await bench.create_open()
    await bench.break_("one", state)
    bench.pass_time(1)

    answers = await statuses(bench, *["DELETE logout", "DELETE delete"] * 3)

    assert answers == [500, 400] * 3
    assert bench.world.is_paired(bench.baileys().instance_id)


@pytest.mark.parametrize("state", ["S3", "S4"])
async def test_2_3_6_says_success_to_a_logout_that_does_nothing(start: Start, state: str) -> None:
    bench = await start("2.3.6")
    await bench.create_open()
    await bench.break_("one", state)

    assert await statuses(bench, "DELETE logout") == [200]
    assert bench.world.is_paired(bench.baileys().instance_id)


async def test_ghost_is_known_by_name_but_has_no_state_and_no_settings(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S1")

    assert (await bench.request("GET", "/instance/connectionState/one")).json() == {"instance": {"instanceName": "one"}}
    assert (await bench.request("GET", "/instance/fetchInstances?instanceName=one")).status_code == 404
    assert (await bench.request("GET", "/settings/find/one")).json() is None
    assert (await bench.create("one")).status_code == 403


async def test_zombie_connecting_keeps_showing_a_dead_code_that_never_rotates(bench: Bench) -> None:
    shown = await bench.create_showing_code()
    await bench.break_("one", "S4")
    row = await bench.row()

    bench.pass_time(200)

    assert (await bench.request("GET", "/instance/connect/one")).json() == shown
    assert await bench.row() == row
    assert (await bench.control("GET", "/instances/one"))["qrShown"] is False


async def test_reconnect_heals_a_zombie_close_within_its_own_wait(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S5")

    await bench.request("GET", "/instance/connect/one")

    assert await bench.state() == "open"


async def test_each_connect_while_flapping_adds_a_loop(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S6")
    while bench.world.memory["one"].state != "close":
        bench.pass_time(0.02)

    await bench.request("GET", "/instance/connect/one")

    one = bench.baileys()
    assert len(one.own_connections) + len(one.reconnects) == 2


async def test_flapping_on_2_3_7_is_mostly_close(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S6")
    bench.pass_time(5)

    seen = bench.states_over(30)

    assert 0.9 < seen.count("close") / len(seen) < 1
    assert "open" not in seen


async def test_server_without_whatsapp_flaps_everywhere_and_recovers_without_a_scan(bench: Bench) -> None:
    await bench.control("POST", "/seed", {"count": 5})
    await bench.control("POST", "/whatsapp", {"reach": "refused"})
    bench.pass_time(5)
    assert {str(each.state) for each in bench.world.memory.values()} <= {"close", "connecting"}

    await bench.control("POST", "/whatsapp", {"reach": "reachable"})
    bench.pass_time(5)

    assert {str(each.state) for each in bench.world.memory.values()} == {"open"}


async def test_stalled_handshake_opens_after_the_cause_is_gone(bench: Bench) -> None:
    await bench.create_open()
    await bench.control("POST", "/whatsapp", {"reach": "stalled", "instance": "one"})
    bench.pass_time(100)
    assert await bench.state() == "connecting"

    await bench.control("POST", "/whatsapp", {"reach": "reachable", "instance": "one"})
    bench.pass_time(31)

    assert await bench.state() == "open"


async def test_lost_credentials_keep_the_owner_and_leave_no_disconnection(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S8")
    bench.pass_time(1)

    row = await bench.row()

    assert row is not None
    assert row["ownerJid"] is not None
    assert row["disconnectionAt"] is None


@pytest.mark.parametrize("code", [401, 402, 403, 406])
async def test_final_code_ends_the_session_and_is_never_cleared(bench: Bench, code: int) -> None:
    await bench.create_open()
    await bench.control("POST", "/instances/one/disconnect", {"code": code})
    closed = await bench.row()
    assert closed is not None
    assert (closed["connectionStatus"], closed["disconnectionReasonCode"]) == ("close", code)

    await repairs.connect_and_scan(bench)
    bench.pass_time(2)

    row = await bench.row()
    assert row is not None
    assert row["connectionStatus"] == "open"
    assert (row["disconnectionReasonCode"], row["disconnectionAt"]) == (code, closed["disconnectionAt"])


@pytest.mark.parametrize("code", [408, 428, 440, 500, 503, 515])
async def test_transient_code_reconnects_and_the_database_stays_open(bench: Bench, code: int) -> None:
    await bench.create_open()
    await bench.control("POST", "/instances/one/disconnect", {"code": code})

    row = await bench.row()
    assert row is not None
    assert row["connectionStatus"] == "open"
    bench.pass_time(5)
    assert await bench.state() == "open"


async def test_restart_of_an_open_instance_says_open_then_closes_and_returns_within_a_second(bench: Bench) -> None:
    await bench.create_open()

    answer = await bench.request("POST", "/instance/restart/one")

    assert answer.json() == {"instance": {"instanceName": "one", "state": "open"}}
    assert await bench.state() == "open"
    seen = bench.states_over(1, every=0.005)
    assert [state for place, state in enumerate(seen) if place == 0 or state != seen[place - 1]] == [
        "open",
        "close",
        "connecting",
        "open",
    ]


async def test_connect_in_the_gap_of_a_restart_makes_the_instance_replace_itself(bench: Bench) -> None:
    await bench.create_open()
    await bench.request("POST", "/instance/restart/one")
    while bench.world.memory["one"].state != "close":
        bench.pass_time(0.005)

    await bench.request("GET", "/instance/connect/one")
    bench.pass_time(2)

    assert set(bench.states_over(5)) == {"open", "close", "connecting"}


async def test_database_outage_while_a_connection_dies_leaves_a_zombie(bench: Bench) -> None:
    await bench.create_open()
    await bench.control("POST", "/database", {"down": True})
    await bench.control("POST", "/instances/one/disconnect", {"code": 428})
    await bench.control("POST", "/database", {"down": False})
    bench.pass_time(60)

    assert str(await repairs.look(bench)) == str(repairs.outside("open", "open", probe=500))


async def test_dead_webhook_of_remove_instance_holds_a_deletion_up_for_many_minutes(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S10")
    await repairs.delete_then_disable_webhook(bench)

    bench.pass_time(900)
    assert await bench.state() == "close"
    assert (await bench.create("one")).status_code == 403

    bench.pass_time(1000)
    assert await bench.state() == "absent"


async def test_webhook_disabled_first_lets_the_deletion_end_at_once(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S10")

    await repairs.disable_webhook_and_delete(bench)
    bench.pass_time(0.7)

    assert await bench.state() == "absent"


async def test_delete_lost_to_the_database_says_success_and_a_second_one_works(bench: Bench) -> None:
    await bench.create("one")
    await bench.break_("one", "S11")

    assert await statuses(bench, "DELETE delete") == [200]
    bench.pass_time(5)
    assert await bench.state() == "close"

    await repairs.delete(bench)
    bench.pass_time(1)
    assert await bench.state() == "absent"


async def test_late_cleanup_of_a_dead_logout_webhook_takes_the_new_session(bench: Bench) -> None:
    await bench.create_open()
    url = "http://127.0.0.1:9/dead"
    await bench.control("POST", "/webhooks/dead", {"url": url})
    body = {"webhook": {"enabled": True, "url": url, "events": ["LOGOUT_INSTANCE"]}}
    await bench.request("POST", "/webhook/set/one", json=body)
    await repairs.logout(bench)
    await repairs.connect_and_scan(bench)
    bench.pass_time(3)
    assert str(await repairs.look(bench)) == str(repairs.HEALTHY)

    bench.pass_time(2000)

    assert str(await repairs.look(bench)) == str(repairs.outside("open", "close", probe=200))


async def test_relogin_leaves_2_3_6_deaf_and_a_server_restart_heals_it(start: Start) -> None:
    bench = await start("2.3.6")
    await bench.create_open()
    await repairs.relogin(bench)
    await repairs.scan(bench)
    bench.pass_time(2)
    assert await bench.control("POST", "/instances/one/messages", {"count": 3}) == {"received": 0}

    await repairs.restart_server(bench)
    bench.pass_time(2)

    assert await bench.control("POST", "/instances/one/messages", {"count": 3}) == {"received": 3}


@pytest.mark.parametrize(("action", "status"), [("logout", 500), ("delete", 400)])
async def test_race_of_2_3_7_answers_an_error_though_the_pairing_is_gone(
    bench: Bench, action: str, status: int
) -> None:
    await bench.create_open()
    await bench.control("POST", "/races", {"logoutOpen": 1, "deleteOpen": 1})

    assert await statuses(bench, f"DELETE {action}") == [status]

    row = await bench.row()
    assert row is not None
    assert (row["connectionStatus"], row["disconnectionReasonCode"]) == ("close", 401)
    assert await statuses(bench, "DELETE delete") == [200]


async def test_races_happen_by_default_on_2_3_7_and_never_on_2_3_6(start: Start) -> None:
    failures = {}
    for version in ("2.3.6", "2.3.7"):
        bench = await start(version, races=True)
        names = (await bench.control("POST", "/seed", {"count": 60}))["names"]
        answers = [await bench.request("DELETE", f"/instance/delete/{name}") for name in names]
        failures[version] = sum(answer.status_code == 400 for answer in answers)

    assert failures["2.3.6"] == 0
    assert 20 < failures["2.3.7"] < 50


async def test_breaking_what_cannot_get_there_is_refused_with_the_reason(bench: Bench) -> None:
    await bench.create("one")

    with pytest.raises(Exception, match="409"):
        await bench.break_("one", "S3")


async def test_orphan_of_an_earlier_incarnation_logs_the_new_pairing_out_at_the_qr_limit(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S12")
    assert str(await repairs.look(bench)) == str(repairs.outside("open", "open", probe=200, hidden="orphans"))

    bench.pass_time(3600)

    row = await bench.row()
    assert row is not None
    assert (row["connectionStatus"], row["disconnectionReasonCode"]) == ("close", 401)
    assert not bench.world.is_paired(bench.baileys().instance_id)


async def test_orphan_outlives_a_safe_deletion_and_hits_the_next_incarnation_too(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S12")
    await repairs.disable_webhook_and_delete(bench)
    bench.pass_time(1)
    assert str(await repairs.look(bench)) == str(repairs.outside("absent", None, metrics=False, hidden="orphans"))
    await bench.create_open()

    bench.pass_time(3600)

    row = await bench.row()
    assert row is not None
    assert row["disconnectionReasonCode"] == 401


async def test_orphan_is_ended_by_a_server_restart_and_nobody_is_logged_out(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S12")

    await repairs.restart_server(bench)
    bench.pass_time(3600)

    assert str(await repairs.look(bench)) == str(repairs.HEALTHY)


async def test_orphan_that_waits_to_connect_again_is_ended_by_a_server_restart_too(bench: Bench) -> None:
    await bench.create_open()
    await bench.control("POST", "/whatsapp", {"reach": "refused"})
    await bench.break_("one", "S12")
    while not bench.world.orphans("one")[0].reconnects:
        bench.pass_time(0.01)

    await repairs.restart_server(bench)

    assert (await bench.control("GET", "/instances/one"))["orphans"] == 0


async def test_orphan_spares_an_instance_of_another_name(bench: Bench) -> None:
    await bench.create_open()
    await bench.create_open("two")
    await bench.break_("one", "S12")

    bench.pass_time(3600)

    assert [await bench.state(), await bench.state("two")] == ["close", "open"]


async def test_deletion_while_flapping_in_close_leaves_an_orphan_and_a_stable_close_none(bench: Bench) -> None:
    await bench.create("stable")
    await bench.create_open()
    await bench.break_("one", "S6")
    while bench.world.memory["one"].state != "close":
        bench.pass_time(0.02)

    for name in ("one", "stable"):
        await bench.request("DELETE", f"/instance/delete/{name}")
    bench.pass_time(5)

    assert [(await bench.control("GET", f"/instances/{name}"))["orphans"] for name in ("one", "stable")] == [1, 0]


async def test_second_socket_of_an_unpaired_instance_outlives_its_deletion(bench: Bench) -> None:
    await bench.create_showing_code()
    await bench.request("POST", "/instance/restart/one")
    while bench.world.memory["one"].state != "close":
        bench.pass_time(0.005)
    await bench.request("GET", "/instance/connect/one")
    bench.pass_time(2)

    await repairs.delete(bench)
    bench.pass_time(60)

    assert str(await repairs.look(bench)) == str(repairs.outside("absent", None, metrics=False, hidden="orphans"))


async def test_another_server_with_the_session_and_this_one_throw_each_other_out_several_times_a_second(
    bench: Bench,
) -> None:
    await bench.create_open()
    await bench.break_("one", "S15")

    seen = bench.states_over(10, every=0.005)

    lost = sum(before == "open" and after != "open" for before, after in itertools.pairwise(seen))
    assert 18 <= lost <= 36
    row = await bench.row()
    assert row is not None
    assert (row["connectionStatus"], row["disconnectionAt"]) == ("open", None)


async def test_session_stays_contested_however_often_and_long_this_server_is_away(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S15")
    for _ in range(3):
        await bench.control("POST", "/server/restart", {"downSeconds": 60})
        bench.pass_time(65)

    assert set(bench.states_over(5)) == {"open", "close", "connecting"}


async def test_logout_ends_the_session_of_the_other_server_as_well(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S15")
    bench.pass_time(1)
    await until_open(bench)

    await repairs.relogin_and_scan(bench)
    bench.pass_time(5)

    assert str(await repairs.look(bench)) == str(repairs.HEALTHY)
    assert bench.world.held_elsewhere("one") == []


async def test_logout_of_a_connection_that_was_just_replaced_leaves_the_other_server_its_device(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S15")
    assert await bench.state() == "open"

    await repairs.relogin_and_scan(bench)
    bench.pass_time(5)

    assert str(await repairs.look(bench)) == str(repairs.HEALTHY)
    assert len(bench.world.held_elsewhere("one")) == 1


async def test_session_is_held_by_one_other_server_at_most_and_released_only_once_held(bench: Bench) -> None:
    await bench.create_open()
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        await repairs.end_foreign_holder(bench)
    await bench.break_("one", "S15")

    await until_open(bench)
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        await bench.break_("one", "S15")


async def test_deaf_instance_shows_the_logout_before_and_keeps_its_owner(start: Start) -> None:
    bench = await start("2.3.6")
    await bench.create_open()
    before = await bench.row()
    removed = bench.world.whatsapp.removed_devices
    assert not removed
    await bench.break_("one", "S16")

    row = await bench.row()

    assert before is not None
    assert row is not None
    assert (row["connectionStatus"], row["disconnectionReasonCode"]) == ("open", 401)
    assert (row["ownerJid"], row["_count"]["Message"]) == (before["ownerJid"], 0)
    assert len(removed) == 1


async def test_deafness_is_refused_where_the_release_has_none(bench: Bench) -> None:
    await bench.create_open()

    with pytest.raises(httpx.HTTPStatusError, match="409"):
        await bench.break_("one", "S16")


async def test_deaf_instance_hears_again_once_deleted_and_created(start: Start) -> None:
    bench = await start("2.3.6")
    await bench.create_open()
    await bench.break_("one", "S16")
    await repairs.delete(bench)
    bench.pass_time(1)

    await bench.create_open()

    assert await bench.control("POST", "/instances/one/messages", {"count": 3}) == {"received": 3}
