"""An instance that is broken beyond a restart: found out, tried, deleted, forgotten, and told of at each step."""

from __future__ import annotations

import structlog

from library.conftest import Stages, told


async def test_the_log_tells_the_story_of_an_instance_that_is_broken_beyond_restart(stage_on: Stages) -> None:
    stage = await stage_on("2.3.6", stuck_timeout_seconds=44, max_attempts=1)
    await stage.bench.create_open("one")
    await stage.run(stage.manager.check_instance_health("one"))
    await stage.bench.break_("one", "S4")
    before = stage.mark()

    with structlog.testing.capture_logs() as lines:
        result = await stage.run(stage.manager.ensure_healthy_instance("one", allow_session_loss=True))

    assert told(lines) == [
        "checking the instance",
        "the instance is not well",
        "trying to recover the instance",
        "the instance has not recovered",
        "cleaning the instance up",
        "the instance is deleted",
        "the record is reset",
        "cleanup is complete",
        "the instance is ready",
    ]
    assert all(line["instance"] == "one" for line in lines)
    bad = lines[1]
    assert (bad["state"], bad["reason"], bad["seconds"]) == ("stuck", "Connecting", 45)
    assert bad["detail"] == "stuck in connecting for 45 s"
    assert (lines[2]["attempt"], lines[2]["step"]) == (1, "restart")
    assert stage.changes(since=before) == ["restart", "logout", "delete"]
    assert await stage.bench.state("one") == "absent"
    assert await stage.store.get("one") is None
    assert (result.healthy, result.cleaned, result.recovered, result.ready) == (False, True, False, True)
    assert result.state == "not_found"


async def test_the_log_of_an_instance_that_a_restart_heals_ends_with_ready(stage_on: Stages) -> None:
    stage = await stage_on()
    await stage.bench.create_open("one")
    await stage.run(stage.manager.check_instance_health("one"))
    await stage.bench.break_("one", "S17")
    before = stage.mark()

    with structlog.testing.capture_logs() as lines:
        result = await stage.run(stage.manager.ensure_healthy_instance("one"))

    assert told(lines) == [
        "checking the instance",
        "the instance is not well",
        "trying to recover the instance",
        "the instance has recovered",
        "the instance is ready",
    ]
    assert stage.changes(since=before) == ["restart"]
    assert (result.healthy, result.cleaned, result.recovered) == (True, False, True)


async def test_the_log_carries_no_key_token_code_or_number(stage_on: Stages) -> None:
    stage = await stage_on("2.3.6", max_attempts=1)
    await stage.bench.create_open("one")
    await stage.bench.break_("one", "S4")
    row = stage.bench.world.database.rows["one"]

    with structlog.testing.capture_logs() as lines:
        await stage.run(stage.manager.ensure_healthy_instance("one", allow_session_loss=True))

    text = repr(lines)
    assert row.owner_jid
    assert not [secret for secret in ("the-global-key", row.token, row.owner_jid.partition("@")[0]) if secret in text]
