"""What a cleanup deletes, what it refuses to, and what it says then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog

from library.conftest import Meanwhile, Stage, Stages, told
from simulator.conftest import Start
from whatsapp_operator.library import CleanupRefused, CleanupUnfinished, Reason, ServerUnknown, SessionLossNotAllowed


async def clean(stage: Stage, name: str = "one", **given: Any) -> bool:
    """One cleanup."""
    return await stage.run(stage.manager.cleanup_corrupted_instance(name, **given))


async def a_zombie(stage: Stage) -> None:
    """An instance with a phone, beyond restart."""
    await stage.bench.create_open()
    await stage.run(stage.manager.check_instance_health("one"))
    await stage.bench.break_("one", "S4")


async def a_dead_code(stage: Stage) -> None:
    """An instance without a phone, whose QR code is never renewed."""
    await stage.bench.create_showing_code()
    await stage.bench.break_("one", "S4")
    await stage.run(stage.manager.check_instance_health("one"))
    stage.bench.pass_time(121)


async def test_a_protected_instance_is_kept_and_the_error_names_the_keyword_and_why(stage_on: Stages) -> None:
    stage = await stage_on("2.3.6")
    await a_zombie(stage)
    before, kept = stage.mark(), await stage.store.get("one")

    with pytest.raises(SessionLossNotAllowed) as refused:
        await clean(stage)

    assert "allow_session_loss=True" in str(refused.value)
    assert "is paired" in str(refused.value)
    assert (refused.value.name, refused.value.state) == ("one", "stuck")
    assert stage.changes(since=before) == []
    after = await stage.store.get("one")
    assert kept is not None
    assert after is not None
    assert after.instance_id == kept.instance_id


async def test_a_protected_instance_is_deleted_when_its_loss_is_allowed(stage_on: Stages) -> None:
    stage = await stage_on("2.3.6")
    await a_zombie(stage)
    before = stage.mark()

    assert await clean(stage, allow_session_loss=True)

    assert stage.changes(since=before) == ["logout", "delete"]
    assert await stage.bench.state() == "absent"
    assert await stage.store.get("one") is None


@pytest.mark.parametrize("state", ["S1", "S2"])
async def test_what_only_one_witness_has_is_deleted_for_both(stage: Stage, state: str) -> None:
    await stage.bench.create_open()
    await stage.run(stage.manager.check_instance_health("one"))
    await stage.bench.break_("one", state)
    await stage.run(stage.manager.check_instance_health("one"))
    stage.bench.pass_time(301)

    assert await clean(stage, allow_session_loss=True)

    assert await stage.bench.state() == "absent"
    assert await stage.bench.row() is None


async def test_another_instance_is_asked_whether_whatsapp_can_be_reached(stage_on: Stages) -> None:
    stage = await stage_on("2.3.6")
    await stage.bench.create_open("other")
    await a_zombie(stage)

    assert await clean(stage, allow_session_loss=True)

    assert await stage.bench.state("other") == "open"
    journal = stage.bench.simulator.listener.journal
    assert journal.select(instance="other", route="fetchBusinessProfile")


async def test_no_pairing_is_given_up_in_an_outage_of_whatsapp(stage_on: Stages) -> None:
    stage = await stage_on("2.3.6", max_attempts=1)
    for name in ("one", "other"):
        await stage.bench.create_open(name)
        await stage.run(stage.manager.check_instance_health(name))
    await stage.bench.control("POST", "/whatsapp", {"reach": "silent"})
    before = stage.mark()

    with structlog.testing.capture_logs() as lines:
        result = await stage.run(stage.manager.ensure_healthy_instance("one", allow_session_loss=True))

    assert (result.healthy, result.cleaned) == (False, False)
    assert stage.changes(since=before) == ["restart"]
    held = next(line for line in lines if line["event"] == "cleanup is held back")
    assert held["reasons"] == ["NotVouchedFor"]


async def test_one_that_goes_another_way_cannot_vouch(stage_on: Stages) -> None:
    stage = await stage_on("2.3.6", max_attempts=1)
    for name in ("one", "other"):
        await stage.bench.create_open(name)
    proxy = {"proxyHost": "squid", "proxyPort": "3128", "proxyProtocol": "http"}
    proxy |= {"proxyUsername": "u", "proxyPassword": "p"}
    await stage.bench.create("behind", **proxy)
    await stage.bench.control("POST", "/instances/behind/pair", {})
    await stage.bench.control("POST", "/whatsapp", {"reach": "silent", "proxy": ""})
    before = stage.mark()

    result = await stage.run(stage.manager.ensure_healthy_instance("one", allow_session_loss=True))

    assert await stage.bench.state("behind") == "open"
    assert not result.cleaned
    assert stage.changes(since=before) == ["restart"]


async def test_an_instance_without_pairing_or_data_needs_no_keyword(stage: Stage) -> None:
    await a_dead_code(stage)

    assert await clean(stage)
    assert await stage.bench.state() == "absent"


async def test_data_protects_an_instance_without_a_phone(stage: Stage) -> None:
    await stage.bench.create_showing_code()
    stage.bench.world.database.rows["one"].counts["Message"] = 3
    stage.bench.world.database.rows["one"].rendered = None
    await stage.bench.break_("one", "S4")
    await stage.run(stage.manager.check_instance_health("one"))
    stage.bench.pass_time(121)
    before = stage.mark()

    with pytest.raises(SessionLossNotAllowed, match="holds 3 messages"):
        await clean(stage)

    assert stage.changes(since=before) == []


@pytest.mark.parametrize("allowed", [False, True])
async def test_a_healthy_instance_is_never_deleted(stage: Stage, allowed: bool) -> None:
    await stage.bench.create_open()
    before = stage.mark()

    with pytest.raises(CleanupRefused) as refused:
        await clean(stage, allow_session_loss=allowed)

    assert (refused.value.state, refused.value.reasons) == ("healthy", (Reason.HEALTHY,))
    assert stage.changes(since=before) == []


@pytest.mark.parametrize(
    ("state", "reason"), [("S6", Reason.FLAPPING), ("S13", Reason.LOGGED_OUT), ("S19", Reason.SESSION_MISSING)]
)
async def test_what_a_deletion_would_not_help_is_not_deleted(stage: Stage, state: str, reason: Reason) -> None:
    await stage.bench.create_open()
    await stage.run(stage.manager.check_instance_health("one"))
    await stage.bench.break_("one", state)
    before = stage.mark()

    with pytest.raises(CleanupRefused) as refused:
        await clean(stage, allow_session_loss=True)

    assert refused.value.reasons == (reason,)
    assert stage.changes(since=before) == []


async def test_what_2_3_7_would_not_delete_is_said_to_need_a_restart_of_the_server(stage: Stage) -> None:
    await a_zombie(stage)
    before = stage.mark()

    with pytest.raises(CleanupRefused) as refused:
        await clean(stage, allow_session_loss=True)

    assert refused.value.reasons == (Reason.NEEDS_SERVER_RESTART,)
    assert stage.changes(since=before) == []


async def test_one_that_does_not_exist_is_not_deleted(stage: Stage) -> None:
    assert not await clean(stage, "nobody", allow_session_loss=True)
    assert stage.changes("nobody") == []


async def test_nothing_is_deleted_on_a_server_that_cannot_be_read(stage_on: Stages) -> None:
    stage = await stage_on("2.3.6")
    await a_zombie(stage)
    await stage.bench.control("POST", "/database", {"down": True})
    before = stage.mark()

    with pytest.raises(ServerUnknown) as unknown:
        await clean(stage, allow_session_loss=True)

    assert unknown.value.reason is Reason.SERVER_ERROR
    assert stage.changes(since=before) == []


async def test_a_dead_webhook_is_silenced_before_it_could_hold_the_deletion_up(stage: Stage) -> None:
    await a_dead_code(stage)
    await stage.bench.break_("one", "S10")
    before = stage.mark()

    assert await clean(stage)
    assert stage.changes(since=before)[:1] == ["webhookSet"]


async def test_a_deletion_that_is_lost_is_told_and_the_next_call_ends_it(stage: Stage) -> None:
    await a_dead_code(stage)
    await stage.bench.break_("one", "S11")

    with structlog.testing.capture_logs() as lines, pytest.raises(CleanupUnfinished) as unfinished:
        await clean(stage)

    assert unfinished.value.how == "pending"
    assert told(lines)[-1] == "the cleanup is not finished"
    assert await stage.store.get("one") is not None
    stage.bench.pass_time(121)
    assert await clean(stage)
    assert await stage.store.get("one") is None


HOOK = {"enabled": True, "url": "http://127.0.0.1:9/hook", "events": ["CALL", "MESSAGES_UPSERT"]}


async def webhook(stage: Stage) -> tuple[bool, list[str]]:
    """Whether the webhook is on, and its events."""
    found = (await stage.bench.request("GET", "/webhook/find/one")).json()
    return found["enabled"], sorted(found["events"])


async def an_unfinished_cleanup(stage: Stage) -> None:
    """An instance whose DELETE was lost, with its webhook off."""
    await a_dead_code(stage)
    await stage.bench.request("POST", "/webhook/set/one", json={"webhook": HOOK})
    await stage.bench.break_("one", "S11")
    with pytest.raises(CleanupUnfinished):
        await clean(stage)
    assert await webhook(stage) == (False, [])


@pytest.fixture
async def another(stage: Stage, stage_on: Stages) -> Stage:
    """A process that begins after the cleanup, beside the same store and server."""
    await an_unfinished_cleanup(stage)
    return await stage_on(bench=stage.bench, store=stage.store)


async def test_an_unfinished_cleanup_is_remembered_and_finished_by_the_next_ensure(another: Stage) -> None:
    kept = await another.store.get("one")
    assert kept is not None
    assert kept.deletion_since is not None
    assert kept.webhook_events == ("CALL", "MESSAGES_UPSERT")
    before = another.mark()
    another.bench.pass_time(121)

    result = await another.run(another.manager.ensure_healthy_instance("one"))

    assert (result.cleaned, result.ready) == (True, True)
    assert another.changes(since=before) == ["logout", "delete"]
    assert await another.store.get("one") is None


async def test_nothing_gentle_is_done_to_an_instance_that_is_being_deleted(another: Stage) -> None:
    """Any other that shows a dead code is restarted."""
    await another.run(another.manager.check_instance_health("one"))
    another.bench.pass_time(121)
    before = another.mark()

    assert not await another.run(another.manager.try_recover_instance("one"))
    assert another.changes(since=before) == []


async def test_the_webhook_of_one_that_works_after_all_is_on_again(another: Stage) -> None:
    await another.bench.control("POST", "/instances/one/pair", {})

    result = await another.run(another.manager.ensure_healthy_instance("one"))

    assert (result.healthy, result.cleaned) == (True, False)
    assert await webhook(another) == (True, ["CALL", "MESSAGES_UPSERT"])
    kept = await another.store.get("one")
    assert kept is not None
    assert (kept.deletion_since, kept.webhook_events) == (None, None)


async def test_a_webhook_that_somebody_has_switched_on_meanwhile_is_left_as_it_is(another: Stage) -> None:
    await another.bench.control("POST", "/instances/one/pair", {})
    await another.bench.request("POST", "/webhook/set/one", json={"webhook": {**HOOK, "events": ["CALL"]}})
    before = another.mark()

    assert (await another.run(another.manager.ensure_healthy_instance("one"))).healthy
    assert another.changes(since=before) == []
    assert await webhook(another) == (True, ["CALL"])


@pytest.mark.parametrize("call", ["ensure_healthy_instance", "cleanup_corrupted_instance"])
async def test_a_deletion_that_the_server_has_ended_by_itself_is_told_as_a_cleanup(another: Stage, call: str) -> None:
    await another.bench.request("DELETE", "/instance/delete/one")
    another.bench.pass_time(60)
    before = another.mark()

    result = await another.run(getattr(another.manager, call)("one"))

    assert getattr(result, "cleaned", result) is True
    assert another.changes(since=before) == []
    assert await another.store.get("one") is None


async def test_one_that_opens_in_the_last_moment_is_spared_and_keeps_its_webhook(stage_on: Stages) -> None:
    stage = await stage_on("2.3.6")
    await a_zombie(stage)
    wanted = {"enabled": True, "url": "http://127.0.0.1:9/hook", "events": ["MESSAGES_UPSERT"]}
    await stage.bench.request("POST", "/webhook/set/one", json={"webhook": wanted})
    await stage.bench.control("POST", "/faults", {"kind": "hold-before", "route": "webhookFind", "count": 1})
    call = asyncio.ensure_future(clean(stage, allow_session_loss=True))
    journal = stage.bench.simulator.listener.journal
    while not journal.select(route="webhookFind"):
        assert not (await asyncio.wait([call], timeout=0.002))[0]

    await stage.bench.control("POST", "/instances/one/pair", {})
    await stage.bench.control("POST", "/release", {})
    with pytest.raises(CleanupUnfinished) as unfinished:
        await call

    assert unfinished.value.how == "refused"
    assert "delete" not in stage.changes()
    kept = (await stage.bench.request("GET", "/webhook/find/one")).json()
    assert (kept["enabled"], kept["events"]) == (True, ["MESSAGES_UPSERT"])


async def test_one_that_has_healed_since_it_was_looked_at_is_left_alone(stage_on: Stages, start: Start) -> None:
    bench = await start("2.3.6")
    heals = Meanwhile(lambda record: record.state == "stuck", lambda: bench.control("POST", "/instances/one/pair", {}))
    stage = await stage_on(bench=bench, store=heals)
    await a_zombie(stage)
    before = stage.mark()

    with pytest.raises(CleanupRefused) as refused:
        await clean(stage, allow_session_loss=True)

    assert refused.value.reasons == (Reason.AWAITING_OBSERVATION,)
    assert stage.changes(since=before) == []


async def test_nothing_is_deleted_on_a_server_whose_version_is_not_known(stage_on: Stages, start: Start) -> None:
    bench = await start("2.3.6", "--no-metrics")
    stage = await stage_on(bench=bench)
    await bench.control("POST", "/faults", {"kind": "status", "status": 500, "path": "/"})
    await a_zombie(stage)
    before = stage.mark()

    with pytest.raises(CleanupRefused) as refused:
        await clean(stage, allow_session_loss=True)

    assert refused.value.reasons == (Reason.UNSUPPORTED_VERSION,)
    assert stage.changes(since=before) == []


async def test_ensure_keeps_a_protected_instance_without_the_keyword(stage_on: Stages) -> None:
    stage = await stage_on("2.3.6", max_attempts=1)
    await a_zombie(stage)
    before = stage.mark()

    with structlog.testing.capture_logs() as lines:
        result = await stage.run(stage.manager.ensure_healthy_instance("one"))

    assert (result.healthy, result.cleaned, result.recovered, result.ready) == (False, False, False, False)
    assert stage.changes(since=before) == ["restart"]
    assert told(lines)[-2:] == ["cleanup is held back", "the instance is not ready"]


@pytest.mark.parametrize("trouble", ["missing", "unreadable", "healthy", "flapping"])
async def test_ensure_calls_nothing_where_there_is_nothing_to_do(stage: Stage, trouble: str) -> None:
    if trouble != "missing":
        await stage.bench.create_open()
        await stage.run(stage.manager.check_instance_health("one"))
    if trouble == "unreadable":
        await stage.bench.control("POST", "/server/down", {})
    if trouble == "flapping":
        await stage.bench.break_("one", "S6")
    before = stage.mark()

    result = await stage.run(stage.manager.ensure_healthy_instance("one", allow_session_loss=True))

    assert stage.changes(since=before) == []
    assert (result.healthy, result.cleaned, result.recovered) == (trouble == "healthy", False, False)
    assert result.state == {"missing": "not_found", "unreadable": "unknown", "flapping": "degraded"}.get(
        trouble, "healthy"
    )


async def test_a_pairing_that_nobody_saw_begin_is_kept(stage_on: Stages) -> None:
    """The code was scanned between two calls, and the connection died before the second one."""
    stage = await stage_on("2.3.6", max_attempts=1)
    await stage.bench.create_showing_code()
    assert (await stage.run(stage.manager.ensure_healthy_instance("one"))).healthy
    await stage.bench.control("POST", "/instances/one/pair", {})
    await stage.bench.break_("one", "S4")
    before = stage.mark()

    results = [await stage.run(stage.manager.ensure_healthy_instance("one")) for _ in range(3)]

    assert not any(result.cleaned for result in results)
    assert set(stage.changes(since=before)) == {"restart"}
    assert await stage.bench.row() is not None


async def test_another_instance_that_has_taken_the_name_since_is_kept(stage_on: Stages, start: Start) -> None:
    bench = await start("2.3.6")

    async def taken() -> None:
        await bench.request("DELETE", "/instance/delete/one")
        bench.pass_time(1)
        await bench.create_showing_code()

    stage = await stage_on(bench=bench, store=Meanwhile(lambda record: record.state == "stuck", taken))
    await a_dead_code(stage)

    with pytest.raises(CleanupRefused) as refused:
        await clean(stage)

    assert refused.value.reasons == (Reason.AWAITING_OBSERVATION,)
    assert stage.changes()[-1] == "connect"
    assert await stage.bench.row() is not None
