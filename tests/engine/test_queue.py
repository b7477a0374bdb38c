"""The work queue: client-go's semantics, on simulated time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import simulated
from whatsapp_operator.engine.queue import Urgency, WorkQueue


@pytest.fixture
def time() -> simulated.Time:
    return simulated.Time()


@pytest.fixture
def queue(time: simulated.Time) -> WorkQueue[str]:
    return a_queue(time)


def a_queue(time: simulated.Time, *, chance: float = 0.0) -> WorkQueue[str]:
    return WorkQueue(clock=time, timers=time, random=simulated.Chance(chance))


async def drained(queue: WorkQueue[str]) -> list[str]:
    """All that waits, each given back at once."""
    keys = []
    while queue.depth:
        key = await queue.get()
        assert key is not None
        keys.append(key)
        queue.done(key)
    return keys


async def test_keys_come_in_the_order_in_which_they_were_added(queue: WorkQueue[str]) -> None:
    for key in "abc":
        queue.add(key)

    assert await drained(queue) == ["a", "b", "c"]


async def test_key_that_is_added_often_is_handed_out_once(queue: WorkQueue[str]) -> None:
    for _ in range(5):
        queue.add("a")

    assert await drained(queue) == ["a"]


async def test_what_a_user_did_comes_first(queue: WorkQueue[str]) -> None:
    queue.add("poll")
    queue.add("user", Urgency.USER)

    assert await drained(queue) == ["user", "poll"]


async def test_key_becomes_more_urgent_and_is_still_handed_out_once(queue: WorkQueue[str]) -> None:
    queue.add("first")
    queue.add("second")
    queue.add("second", Urgency.USER)
    queue.add("second")

    assert await drained(queue) == ["second", "first"]


async def test_key_is_in_one_workers_hands_at_most(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert await queue.get() == "a"

    queue.add("a")

    assert queue.depth == 0
    assert queue.busy == 1


async def test_key_added_while_it_is_worked_on_comes_back_once(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    for _ in range(3):
        queue.add("a")

    queue.done("a")

    assert await drained(queue) == ["a"]


async def test_key_made_urgent_while_it_is_worked_on_comes_back_urgent(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("b")
    queue.add("a", Urgency.USER)
    queue.add("a")
    queue.done("a")

    assert await drained(queue) == ["a", "b"]


async def test_key_that_nobody_added_again_does_not_come_back(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()

    queue.done("a")

    assert queue.depth == queue.busy == 0


async def test_worker_that_waits_is_woken_by_a_key(queue: WorkQueue[str]) -> None:
    waiting = [asyncio.ensure_future(queue.get()) for _ in range(2)]
    await asyncio.wait(waiting, timeout=0)

    queue.add("a")
    queue.add("b")

    assert sorted([await worker or "" for worker in waiting]) == ["a", "b"]


async def test_closed_queue_wakes_every_worker_and_hands_out_nothing(queue: WorkQueue[str]) -> None:
    waiting = [asyncio.ensure_future(queue.get()) for _ in range(3)]
    await asyncio.wait(waiting, timeout=0)

    queue.close()
    queue.add("late")
    queue.add_after("later", 1)

    assert [await worker for worker in waiting] == [None, None, None]
    assert await queue.get() is None


async def test_closed_queue_keeps_what_was_waiting_to_itself(queue: WorkQueue[str], time: simulated.Time) -> None:
    queue.add("a")
    queue.add_after("b", 5)

    queue.close()

    assert await queue.get() is None
    assert time.pending == 0


async def test_key_wished_for_later_comes_at_its_time(queue: WorkQueue[str], time: simulated.Time) -> None:
    queue.add_after("a", 5)

    time.advance(4.9)
    assert queue.depth == 0

    time.advance(0.1)
    assert await drained(queue) == ["a"]


@pytest.mark.parametrize("wishes", [(5, 9), (9, 5), (5, 5)])
async def test_earliest_of_several_wishes_counts(
    queue: WorkQueue[str], time: simulated.Time, wishes: tuple[float, float]
) -> None:
    for wish in wishes:
        queue.add_after("a", wish)

    time.advance(5)
    assert await drained(queue) == ["a"]

    time.advance(60)
    assert queue.depth == 0


async def test_timer_that_rings_while_the_key_is_worked_on_brings_it_back(
    queue: WorkQueue[str], time: simulated.Time
) -> None:
    queue.add("a")
    await queue.get()
    queue.add_after("a", 1)

    time.advance(1)
    assert queue.depth == 0

    queue.done("a")
    assert await drained(queue) == ["a"]


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_backoff_doubles_up_to_its_bound_with_jitter(time: simulated.Time, chance: float) -> None:
    queue = a_queue(time, chance=chance)

    delays = [queue.retry("a") for _ in range(12)]

    bases = [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]
    assert delays == pytest.approx([base * (1 + 0.5 * chance) for base in bases])


def test_backoff_never_overflows(time: simulated.Time) -> None:
    queue = a_queue(time, chance=0.999)

    assert max(queue.retry("a") for _ in range(2000)) < 90


async def test_key_that_failed_comes_back_after_its_backoff(queue: WorkQueue[str], time: simulated.Time) -> None:
    delay = queue.retry("a")
    assert queue.depth == 0

    time.advance(delay)

    assert await drained(queue) == ["a"]


def test_backoff_is_each_keys_own_and_begins_anew_when_forgotten(queue: WorkQueue[str]) -> None:
    queue.retry("a")
    queue.retry("a")
    assert queue.retry("b") == 0.5

    queue.forget("a")
    assert queue.retry("a") == 0.5


async def test_key_that_is_dropped_takes_its_timer_and_backoff_with_it(
    queue: WorkQueue[str], time: simulated.Time
) -> None:
    queue.retry("a")
    queue.add_after("a", 5)

    queue.drop("a")
    time.advance(60)

    assert queue.depth == 0
    assert queue.retry("a") == 0.5


def test_oldest_age_counts_from_the_first_wish(queue: WorkQueue[str], time: simulated.Time) -> None:
    assert queue.oldest_age() == 0
    queue.add("a")
    time.advance(3)
    queue.add("a", Urgency.USER)
    queue.add("b")
    time.advance(2)

    assert queue.oldest_age() == 5


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["add", "urgent", "later", "get", "done", "pass"]), st.sampled_from("abc")), max_size=60
)


@given(OPERATIONS)
def test_no_wish_is_lost_and_no_key_is_handed_out_twice(operations: list[tuple[str, str]]) -> None:
    asyncio.run(_plays(operations))


async def _plays(operations: list[tuple[str, str]]) -> None:
    time = simulated.Time()
    queue = a_queue(time)
    busy: list[str] = []
    wished: set[str] = set()
    for what, key in operations:
        match what:
            case "add" | "urgent":
                queue.add(key, Urgency.USER if what == "urgent" else Urgency.CHANGE)
                wished.add(key)
            case "later":
                queue.add_after(key, 1)
                wished.add(key)
            case "pass":
                time.advance(1)
            case "get" if queue.depth:
                taken = await queue.get()
                assert taken is not None
                assert taken not in busy
                busy.append(taken)
                wished.discard(taken)
            case "done" if busy:
                queue.done(busy.pop(0))
    for key in busy:
        queue.done(key)
    time.advance(1)
    assert wished <= set(await drained(queue))


async def test_key_goes_to_another_worker_where_the_one_that_was_woken_for_it_is_cancelled(
    queue: WorkQueue[str],
) -> None:
    first, second, third = (asyncio.ensure_future(queue.get()) for _ in range(3))
    await asyncio.wait([first, second, third], timeout=0)

    queue.add("a")
    first.cancel()

    assert await second == "a"
    queue.add("a", Urgency.USER)
    queue.add("b")
    queue.add("b", Urgency.USER)
    assert await third == "b", "a is in a worker's hands"
    queue.done("a")
    assert await queue.get() == "a"
    assert queue.depth == 0
