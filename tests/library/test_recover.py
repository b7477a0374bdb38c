"""Which steps a recovery takes, and that it takes none where it must not."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog

from library.conftest import Meanwhile, Stage, Stages, told
from simulator.conftest import Start
from whatsapp_operator.library import SQLiteRecordStore


async def recover(stage: Stage, name: str = "one") -> tuple[bool, list[str]]:
    """Whether it is well in the end, and the calls that changed something."""
    before = stage.mark()
    recovered = await stage.run(stage.manager.try_recover_instance(name))
    return recovered, stage.changes(name, since=before)


async def test_a_hanging_instance_is_restarted_once(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.bench.break_("one", "S17")

    assert await recover(stage) == (True, ["restart"])


async def test_a_lost_close_is_healed_by_one_connect(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.bench.break_("one", "S5")

    assert await recover(stage) == (True, ["connect"])


async def test_an_instance_that_was_never_connected_shows_a_code_afterwards(stage: Stage) -> None:
    await stage.bench.create("one")

    assert await recover(stage) == (True, ["connect"])
    assert stage.bench.baileys().client is not None


async def test_a_dead_socket_is_restarted_once_and_the_next_probe_tells_that_it_did_not_help(
    stage_on: Stages,
) -> None:
    stage = await stage_on("2.3.6", probe=True)
    await stage.bench.create_open()
    await stage.bench.break_("one", "S3")

    assert await recover(stage) == (False, ["restart"])
    assert (await stage.run(stage.manager.check_instance_health("one"))).should_cleanup


async def test_a_restart_that_leaves_the_old_code_has_recovered_nothing(stage_on: Stages) -> None:
    stage = await stage_on(stuck_timeout_seconds=60)
    await stage.bench.create_showing_code()
    await stage.run(stage.manager.check_instance_health("one"))  # sees that a new code comes
    await stage.bench.break_("one", "S4")
    stage.bench.pass_time(121)

    assert await recover(stage) == (False, ["restart", "restart"])

    another = await stage_on(bench=stage.bench, store=stage.store)
    assert not (await another.run(another.manager.check_instance_health("one"))).healthy


async def test_one_that_has_healed_since_it_was_looked_at_is_not_restarted(stage_on: Stages, start: Start) -> None:
    bench = await start()
    heals = Meanwhile(lambda record: record.state == "stuck", lambda: bench.control("POST", "/instances/one/pair", {}))
    stage = await stage_on(bench=bench, store=heals)
    await bench.create_open()
    await bench.break_("one", "S17")

    assert await recover(stage) == (True, [])


async def test_a_step_after_which_nothing_can_be_read_is_given_up_in_the_end(stage_on: Stages, start: Start) -> None:
    bench = await start()
    goes = Meanwhile(
        lambda record: record.recovery.in_flight is not None, lambda: bench.control("POST", "/server/down", {})
    )
    stage = await stage_on(bench=bench, store=goes)
    await bench.create_open()
    await bench.break_("one", "S17")

    assert await recover(stage) == (False, [])
    kept = await stage.store.get("one")
    assert kept is not None
    assert kept.attempts == 1


async def test_one_that_goes_during_a_step_is_not_created_anew(stage_on: Stages, start: Start) -> None:
    bench = await start()

    async def goes() -> None:
        bench.world.database.delete("one")
        bench.world.memory.pop("one").destroy()
        bench.world.memory_changed()

    stage = await stage_on(bench=bench, store=Meanwhile(lambda record: record.recovery.in_flight is not None, goes))
    await bench.create_open()
    await bench.break_("one", "S17")

    with structlog.testing.capture_logs() as lines:
        assert await recover(stage) == (False, ["restart"])

    assert [line["step"] for line in lines if "step" in line] == ["restart", "restart"]
    assert await stage.store.get("one") is None


async def test_a_step_that_is_never_answered_is_taken_as_often_as_allowed(stage: Stage) -> None:
    await stage.bench.create("one")
    await stage.bench.control("POST", "/faults", {"kind": "status", "status": 500, "route": "connect"})

    assert await recover(stage) == (False, ["connect"] * 3)


async def test_a_restart_that_revived_a_dead_socket_is_known_by_a_probe(stage_on: Stages, start: Start) -> None:
    bench = await start()
    revives = Meanwhile(
        lambda record: record.recovery.in_flight is not None,
        lambda: bench.control("POST", "/instances/one/pair", {}),
    )
    stage = await stage_on(bench=bench, store=revives, probe=True)
    await bench.create_open()
    await bench.break_("one", "S3")

    assert await recover(stage) == (True, ["restart"])
    kept = await stage.store.get("one")
    assert kept is not None
    assert [one.result for one in kept.recovery.history] == ["Succeeded"]


async def test_an_instance_beyond_restart_is_restarted_as_often_as_allowed_and_never_deleted(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.bench.break_("one", "S4")

    assert await recover(stage) == (False, ["restart"] * 3)
    assert await recover(stage) == (False, [])
    assert await stage.bench.state() == "connecting"


async def test_attempts_are_counted_over_processes(stage_on: Stages, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("records") / "records.db"
    first = await stage_on("2.3.6", max_attempts=1, store=SQLiteRecordStore(path))
    await first.bench.create_open()
    await first.bench.break_("one", "S4")
    assert await recover(first) == (False, ["restart"])

    second = await stage_on(bench=first.bench, max_attempts=1, store=SQLiteRecordStore(path))

    assert await recover(second) == (False, [])
    kept = await second.store.get("one")
    assert kept is not None
    assert kept.attempts == 1


@pytest.mark.parametrize(("seconds", "attempts"), [(700, 1), (400, 2)])
async def test_attempts_count_from_zero_when_it_was_well_for_long_and_nobody_called(
    stage: Stage, seconds: float, attempts: int
) -> None:
    await stage.bench.create_open()
    await stage.bench.break_("one", "S17")
    assert await recover(stage) == (True, ["restart"])

    stage.bench.pass_time(seconds)
    await stage.bench.break_("one", "S17")
    assert await recover(stage) == (True, ["restart"])

    kept = await stage.store.get("one")
    assert kept is not None
    assert kept.attempts == attempts


@pytest.mark.parametrize(("seconds", "attempts"), [(700, 1), (100, 2)])
async def test_attempts_count_from_zero_when_it_has_logged_in_by_itself_and_nobody_saw_it(
    stage_on: Stages, seconds: float, attempts: int
) -> None:
    stage = await stage_on("2.3.6", max_attempts=2)
    await stage.bench.create_open()
    await stage.bench.break_("one", "S4")
    assert await recover(stage) == (False, ["restart", "restart"])

    await stage.bench.control("POST", "/instances/one/pair", {})
    stage.bench.pass_time(seconds)
    await stage.bench.break_("one", "S17")
    await recover(stage)

    kept = await stage.store.get("one")
    assert kept is not None
    assert kept.attempts == attempts


async def test_attempts_count_from_zero_after_lasting_health(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.bench.break_("one", "S17")
    await recover(stage)
    for _ in range(3):
        stage.bench.pass_time(301)
        await stage.run(stage.manager.check_instance_health("one"))
    kept = await stage.store.get("one")
    assert kept is not None
    assert kept.attempts == 0


@pytest.mark.parametrize("state", ["S3", "S19"])
async def test_nothing_is_called_for_an_instance_that_both_witnesses_call_open_or_that_works(
    stage: Stage, state: str
) -> None:
    await stage.bench.create_open()
    await stage.bench.break_("one", state)

    assert (await recover(stage))[1] == []


async def test_nothing_is_called_for_a_healthy_instance(stage: Stage) -> None:
    await stage.bench.create_open()

    assert await recover(stage) == (True, [])


async def test_nothing_is_called_for_one_that_waits_for_a_scan(stage: Stage) -> None:
    await stage.bench.create_showing_code()

    assert await recover(stage) == (True, [])


async def test_nothing_is_called_for_one_that_does_not_exist(stage: Stage) -> None:
    with structlog.testing.capture_logs() as lines:
        assert await recover(stage, "nobody") == (False, [])

    assert told(lines) == ["checking the instance", "the instance does not exist"]
    assert await stage.bench.state("nobody") == "absent"


async def test_nothing_is_called_while_the_server_cannot_be_read(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.bench.break_("one", "S17")
    await stage.bench.control("POST", "/database", {"down": True})

    assert await recover(stage) == (False, [])


async def test_nothing_is_called_for_one_that_flaps(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.bench.break_("one", "S6")

    assert await recover(stage) == (False, [])


async def test_nothing_is_called_for_an_account_that_whatsapp_refuses(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.run(stage.manager.check_instance_health("one"))
    await stage.bench.control("POST", "/instances/one/disconnect", {"code": 403})

    assert await recover(stage) == (False, [])


async def test_nothing_is_connected_where_no_pairing_is_wanted(stage_on: Stages) -> None:
    stage = await stage_on(pairing_wanted=False)
    await stage.bench.create("one")

    assert await recover(stage) == (False, [])


async def test_no_step_is_taken_on_a_server_whose_version_is_not_known(stage_on: Stages, start: Start) -> None:
    bench = await start("2.3.7", "--no-metrics")
    stage = await stage_on(bench=bench)
    await bench.create("one")
    await bench.control("POST", "/faults", {"kind": "status", "status": 500, "path": "/"})

    with structlog.testing.capture_logs() as lines:
        assert await recover(stage) == (False, [])

    held = next(line for line in lines if line["event"] == "a step is held back")
    assert "UnsupportedVersion" in held["reasons"]


async def test_two_calls_at_once_take_one_step(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.bench.break_("one", "S17")
    before = stage.mark()

    calls = asyncio.gather(*(stage.manager.try_recover_instance("one") for _ in range(3)))

    assert await stage.run(calls) == [True, True, True]
    assert stage.changes(since=before) == ["restart"]


async def test_names_of_the_past_keep_no_lock(stage: Stage) -> None:
    before = how_many(asyncio.Lock)

    for number in range(8):
        await stage.run(stage.manager.check_instance_health(f"gone-{number}"))

    assert how_many(asyncio.Lock) < before + 8


def how_many(kind: type) -> int:
    """So many objects of a kind are alive."""
    gc.collect()
    return sum(isinstance(one, kind) for one in gc.get_objects())


async def test_calls_for_different_instances_share_their_lists(stage: Stage) -> None:
    for number in range(8):
        await stage.bench.create_open(f"i{number}")
    before = stage.mark()

    checks = [stage.manager.check_instance_health(f"i{number}") for number in range(8)]
    found = await stage.run(asyncio.gather(*checks))

    assert all(one.healthy for one in found)
    journal = stage.bench.simulator.listener.journal
    assert len(journal.select(route="fetchInstances", since=before)) <= 2


async def test_a_step_is_kept_before_it_is_taken(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.bench.break_("one", "S4")
    await stage.bench.control("POST", "/faults", {"kind": "hold-before", "route": "restart", "count": 1})
    call = asyncio.ensure_future(stage.manager.try_recover_instance("one"))
    journal = stage.bench.simulator.listener.journal
    while not journal.select(route="restart"):
        assert not (await asyncio.wait([call], timeout=0.002))[0]

    kept = await stage.store.get("one")
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)

    assert kept is not None
    assert kept.attempts == 1
    assert kept.recovery.in_flight is not None


async def test_recovery_is_told_attempt_by_attempt(stage_on: Stages) -> None:
    stage = await stage_on(max_attempts=2)
    await stage.bench.create_open()
    await stage.bench.break_("one", "S4")

    with structlog.testing.capture_logs() as lines:
        await recover(stage)

    assert [line["attempt"] for line in lines if "attempt" in line] == [1, 1, 2, 2]
    assert told(lines)[-1] == "the instance has not recovered"


async def test_steps_that_a_clock_that_was_ahead_has_written_down_keep_no_other_waiting(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.bench.break_("one", "S17")
    assert await recover(stage) == (True, ["restart"])
    kept = await stage.store.get("one")
    assert kept is not None
    tomorrow = [one.replace(end_time=one.start_time + timedelta(days=1)) for one in kept.recovery.history]
    await stage.store.put(replace(kept, recovery=kept.recovery.replace(history=tuple(tomorrow))))
    await stage.bench.break_("one", "S17")

    assert await recover(stage) == (True, ["restart"])
