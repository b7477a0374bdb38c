"""How often a strategy asks, how long it waits between, and when it stops."""

from __future__ import annotations

import pytest

from recovery.test_strategies import (
    ABSENT,
    CLOSE,
    CONNECTING,
    ERROR_500,
    GONE,
    HALF_DELETED,
    HEARD,
    PRESENT,
    REFUSED,
    Scripted,
)
from support import simulated
from whatsapp_operator.recovery import strategies
from whatsapp_operator.recovery.strategies import Done
from whatsapp_operator.resources.steps import Step


async def carried_out(
    step: Step, server: Scripted, *, within: float = 30, flapping: bool = False
) -> tuple[Done, list[float]]:
    """How far it came, and the pauses that it made."""
    time, pauses = simulated.Time(), list[float]()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await time.sleep(seconds)

    work = strategies.Work(
        server=server,
        name="shop",
        list_rows=server.list_rows,
        sleep=sleep,
        monotonic=time.monotonic,
        timeout=within,
        flapping=flapping,
    )
    return await strategies.STRATEGIES[step](work), pauses


def before_delete(server: Scripted, call: str) -> int:
    return server.calls[: server.calls.index("delete")].count(call)


async def test_close_is_believed_before_a_delete_when_five_reads_in_a_row_have_shown_it() -> None:
    server = Scripted()

    done, pauses = await carried_out(Step.DELETE, server)

    assert done is Done.DONE
    assert (before_delete(server, "memory"), before_delete(server, "logout")) == (5, 0)
    assert pauses == [0.1] * 4


async def test_reads_of_close_count_from_zero_after_another_state() -> None:
    server = Scripted(memory=(*(CLOSE,) * 4, CONNECTING, CLOSE), logged_out=(REFUSED,))

    await carried_out(Step.DELETE, server)

    assert (before_delete(server, "memory"), before_delete(server, "logout")) == (10, 1)


async def test_zombie_is_asked_thirty_times_to_log_out_and_then_deleted_all_the_same() -> None:
    server = Scripted(memory=(CONNECTING,), logged_out=(ERROR_500,))

    done, pauses = await carried_out(Step.DELETE, server)

    assert done is Done.DONE
    assert before_delete(server, "logout") == 30
    assert pauses == [0.1] * 30


@pytest.mark.parametrize("shown", [CONNECTING, CLOSE])
async def test_flapping_instance_is_asked_a_hundred_and_twenty_times_also_in_close_and_then_left(shown: object) -> None:
    server = Scripted(memory=(shown,), logged_out=(REFUSED,))  # type: ignore[arg-type]  # a reading

    done, _ = await carried_out(Step.DELETE, server, flapping=True)

    assert done is Done.UNCERTAIN
    assert server.calls.count("logout") == 120
    assert "delete" not in server.calls


async def test_logout_of_a_relogin_is_believed_after_five_reads_of_close_and_a_list() -> None:
    server = Scripted(memory=(CONNECTING, CLOSE), rows=(PRESENT,))

    done, pauses = await carried_out(Step.RELOGIN, server)

    assert done is Done.DONE
    assert [server.calls.count(call) for call in ("memory", "logout", "rows", "connect")] == [6, 1, 1, 1]
    assert pauses == [0.1] * 5


async def test_list_that_does_not_say_so_yet_is_asked_again_after_five_more_reads() -> None:
    server = Scripted(memory=(CONNECTING, CLOSE), rows=(GONE, PRESENT))

    assert (await carried_out(Step.RELOGIN, server))[0] is Done.DONE
    assert [server.calls.count(call) for call in ("memory", "logout", "rows")] == [11, 1, 2]


async def test_zombie_is_logged_out_ten_times_by_a_relogin_and_then_left() -> None:
    server = Scripted(memory=(CONNECTING,), logged_out=(ERROR_500,))

    done, _ = await carried_out(Step.RELOGIN, server)

    assert done is Done.UNCERTAIN
    assert (server.calls.count("logout"), server.calls.count("connect")) == (10, 0)


async def test_relogin_gives_up_what_rests_in_close_and_is_in_no_list_after_two_minutes_of_reads() -> None:
    server = Scripted(memory=(CONNECTING, CLOSE), rows=(GONE,))

    assert (await carried_out(Step.RELOGIN, server))[0] is Done.UNCERTAIN
    assert server.calls.count("memory") == 120


async def test_webhook_that_is_gone_when_it_is_read_back_is_silent() -> None:
    assert (await carried_out(Step.DELETE, Scripted(webhook=(HEARD, None))))[0] is Done.DONE


async def test_delete_that_is_refused_from_close_again_and_again_is_waited_for_like_any_other() -> None:
    from_then_on = Scripted(deleted=(HALF_DELETED,), after_delete=(*(CLOSE,) * 3, ABSENT))

    assert (await carried_out(Step.DELETE, from_then_on))[0] is Done.DONE
    assert from_then_on.calls.count("delete") == 3


@pytest.mark.parametrize(("within", "polls"), [(30, 18), (29, 17), (0.1, 1)])
async def test_deleted_instance_is_looked_for_ever_more_rarely_until_the_time_is_over(
    within: float, polls: int
) -> None:
    server = Scripted(after_delete=(CLOSE,))

    done, pauses = await carried_out(Step.DELETE, server, within=within)

    assert done is Done.PENDING
    waits = pauses[4:]
    assert len(waits) == polls
    assert waits[:7] == [0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0][:polls]
