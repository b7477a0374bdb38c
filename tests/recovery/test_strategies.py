"""Strategies against a server that answers by script: which calls are made, in which order, and which are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest

from support import simulated
from support.world import a_row, state
from whatsapp_operator.evolution import evidence
from whatsapp_operator.recovery import strategies
from whatsapp_operator.recovery.strategies import Done
from whatsapp_operator.resources.steps import Step

T = TypeVar("T")

OPEN, CONNECTING, CLOSE = (evidence.InMemory(state(word)) for word in ("open", "connecting", "close"))
ABSENT, NOT_IN_MEMORY = evidence.Absent(), evidence.NotInMemory()
ACCEPTED = evidence.Accepted()
REFUSED = evidence.Refused(evidence.Refusal.NOT_CONNECTED)
HALF_DELETED = evidence.Refused(evidence.Refusal.INVALID)
TIMED_OUT = evidence.Unknown(evidence.Ignorance.TIMEOUT)
ERROR_500 = evidence.Unknown(evidence.Ignorance.SERVER_ERROR)
HEARD = evidence.Webhook(url="http://shop/hook", enabled=True, events=frozenset({"REMOVE_INSTANCE"}))
SILENT = replace(HEARD, enabled=False)
PRESENT, GONE = evidence.DatabaseList({"shop": a_row("close")}), evidence.DatabaseList({})
CREATED = evidence.Created(id="id-2")
NEW = evidence.NewInstance(name="shop", integration="WHATSAPP-BAILEYS", token="")


@dataclass
class Scripted:
    """Answers each call with the next of its answers, the last one again and again, and notes every call.

    Once DELETE was sent memory answers from `after_delete`.
    """

    memory: Sequence[evidence.MemoryReading] = (CLOSE,)
    after_delete: Sequence[evidence.MemoryReading] = (ABSENT,)
    rows: Sequence[evidence.DatabaseList | evidence.Unknown] = (GONE,)
    created: evidence.Created | evidence.Refused | evidence.Unknown = CREATED
    connected: evidence.QRCode | evidence.NoCode | evidence.InMemory | evidence.Refused | evidence.Unknown = OPEN
    restarted: evidence.Outcome = ACCEPTED
    logged_out: Sequence[evidence.Outcome] = (ACCEPTED,)
    deleted: Sequence[evidence.Outcome] = (ACCEPTED,)
    webhook: Sequence[evidence.Webhook | evidence.Unknown | None] = (None,)
    webhook_set: evidence.Outcome = ACCEPTED
    calls: list[str] = field(default_factory=list)
    written: list[evidence.Webhook] = field(default_factory=list)
    configured: list[Mapping[str, object]] = field(default_factory=list)
    _given: dict[str, int] = field(default_factory=dict)

    def _next(self, call: str, answers: Sequence[T], *, phase: str = "", name: str = "shop") -> T:
        assert name == "shop"
        self.calls.append(call)
        place = self._given.get(call + phase, 0)
        self._given[call + phase] = place + 1
        return answers[min(place, len(answers) - 1)]

    async def read_memory(self, name: str) -> evidence.MemoryReading:
        if "delete" in self.calls:
            return self._next("memory", self.after_delete, phase=" after", name=name)
        return self._next("memory", self.memory, name=name)

    async def list_rows(self) -> evidence.DatabaseList | evidence.Unknown:
        return self._next("rows", self.rows)

    async def create(self, wanted: evidence.NewInstance) -> evidence.Created | evidence.Refused | evidence.Unknown:
        return self._next("create", [self.created], name=wanted.name)

    async def connect(
        self, name: str
    ) -> evidence.QRCode | evidence.NoCode | evidence.InMemory | evidence.Refused | evidence.Unknown:
        return self._next("connect", [self.connected], name=name)

    async def restart(self, name: str) -> evidence.Outcome:
        return self._next("restart", [self.restarted], name=name)

    async def logout(self, name: str) -> evidence.Outcome:
        return self._next("logout", self.logged_out, name=name)

    async def delete(self, name: str) -> evidence.Outcome:
        return self._next("delete", self.deleted, name=name)

    async def find_webhook(self, name: str) -> evidence.Webhook | evidence.Unknown | None:
        return self._next("find", self.webhook, name=name)

    async def set_webhook(self, name: str, webhook: evidence.Webhook) -> evidence.Outcome:
        self.written.append(webhook)
        return self._next("set", [self.webhook_set], name=name)

    async def find_settings(self, name: str) -> Mapping[str, object] | evidence.Unknown | None:
        return self._next("find settings", [{}], name=name)

    async def set_settings(self, name: str, settings: Mapping[str, object]) -> evidence.Outcome:
        self.configured.append(settings)
        return self._next("set settings", [evidence.Accepted()], name=name)

    @property
    def changes(self) -> list[str]:
        """The calls that change something, in order, repetitions counted once."""
        changing = [call for call in self.calls if call not in ("memory", "rows", "find")]
        return [call for place, call in enumerate(changing) if place == 0 or changing[place - 1] != call]


async def carried_out(
    step: Step,
    server: Scripted,
    *,
    time: simulated.Time | None = None,
    wanted: evidence.NewInstance | None = NEW,
    **facts: bool,
) -> Done:
    time = time or simulated.Time()
    work = strategies.Work(
        server=server,
        name="shop",
        list_rows=server.list_rows,
        sleep=time.sleep,
        monotonic=time.monotonic,
        timeout=30,
        wanted=wanted,
        **facts,
    )
    return await strategies.STRATEGIES[step](work)


def test_every_step_on_an_instance_has_a_strategy() -> None:
    """A restart of the server is none: the engine carries it out, once for all who wait for it."""
    assert set(strategies.STRATEGIES) == set(Step) - {Step.RESTART_SERVER}


@pytest.mark.parametrize(
    ("answer", "done"),
    [(OPEN, Done.DONE), (evidence.NoCode(), Done.DONE), (REFUSED, Done.REFUSED), (TIMED_OUT, Done.UNCERTAIN)],
)
async def test_reconnect_is_one_connect_and_nothing_else(
    answer: evidence.InMemory | evidence.NoCode | evidence.Refused | evidence.Unknown, done: Done
) -> None:
    server = Scripted(connected=answer)

    assert await carried_out(Step.RECONNECT, server) is done
    assert server.calls == ["connect"]


@pytest.mark.parametrize(
    ("answer", "done"), [(ACCEPTED, Done.DONE), (REFUSED, Done.REFUSED), (TIMED_OUT, Done.UNCERTAIN)]
)
async def test_restart_is_one_restart_and_nothing_else(answer: evidence.Outcome, done: Done) -> None:
    server = Scripted(restarted=answer)

    assert await carried_out(Step.RESTART, server) is done
    assert server.calls == ["restart"]


async def test_create_connects_what_it_created_when_a_code_is_wanted() -> None:
    server = Scripted()

    assert await carried_out(Step.CREATE, server, connect_after_create=True) is Done.DONE
    assert server.calls == ["create", "connect"]


@pytest.mark.parametrize("answer", [TIMED_OUT, ERROR_500])
async def test_create_without_an_answer_is_never_posted_again(answer: evidence.Unknown) -> None:
    server = Scripted(created=answer)

    assert await carried_out(Step.CREATE, server, connect_after_create=True) is Done.UNCERTAIN
    assert server.calls == ["create"]


async def test_create_that_is_refused_is_not_connected() -> None:
    server = Scripted(created=evidence.Refused(evidence.Refusal.NAME_IN_USE))

    assert await carried_out(Step.CREATE, server, connect_after_create=True) is Done.REFUSED
    assert server.calls == ["create"]


async def test_delete_of_a_connected_instance_silences_logs_out_deletes_and_waits() -> None:
    server = Scripted(memory=[OPEN], webhook=[HEARD, SILENT], after_delete=[CLOSE, ABSENT], rows=[PRESENT, GONE])

    assert await carried_out(Step.DELETE, server) is Done.DONE
    assert server.calls == [
        *("find", "set", "find"),
        *("memory", "logout"),
        "delete",
        *("memory", "memory", "rows", "memory", "rows"),
    ]


async def test_webhook_that_is_switched_off_keeps_its_url_and_names_no_event() -> None:
    server = Scripted(webhook=[HEARD, SILENT])

    await carried_out(Step.DELETE, server)

    assert server.written == [replace(HEARD, enabled=False, events=frozenset())]


@pytest.mark.parametrize("webhook", [None, SILENT], ids=["none", "off"])
async def test_webhook_that_calls_nobody_is_left_alone(webhook: evidence.Webhook | None) -> None:
    server = Scripted(webhook=[webhook])

    assert await carried_out(Step.DELETE, server) is Done.DONE
    assert "set" not in server.calls


@pytest.mark.parametrize(
    ("webhook", "answer"),
    [
        ([TIMED_OUT], ACCEPTED),
        ([HEARD, HEARD], ACCEPTED),
        ([HEARD, TIMED_OUT], ACCEPTED),
        ([HEARD, HEARD], TIMED_OUT),
        ([HEARD, HEARD], ERROR_500),
    ],
    ids=["unread", "still on", "not read back", "unanswered", "refused with 500"],
)
async def test_nothing_is_done_to_an_instance_whose_webhook_may_still_be_called(
    webhook: Sequence[evidence.Webhook | evidence.Unknown], answer: evidence.Outcome
) -> None:
    server = Scripted(memory=[OPEN], webhook=webhook, webhook_set=answer)

    assert await carried_out(Step.RECREATE, server) is Done.UNCERTAIN
    assert {"logout", "delete", "create"}.isdisjoint(server.calls)


async def test_webhook_that_was_switched_off_though_the_answer_was_lost_is_good_enough() -> None:
    server = Scripted(webhook=[HEARD, SILENT], webhook_set=TIMED_OUT)

    assert await carried_out(Step.DELETE, server) is Done.DONE


async def test_webhook_of_a_ghost_that_answers_500_is_skipped() -> None:
    server = Scripted(memory=[NOT_IN_MEMORY], webhook=[HEARD], webhook_set=ERROR_500)

    assert await carried_out(Step.RECREATE, server, broken_record=True) is Done.DONE
    assert server.changes == ["set", "delete", "create"]


@pytest.mark.parametrize("answer", [ACCEPTED, TIMED_OUT])
async def test_webhook_of_a_ghost_is_skipped_for_a_500_only(answer: evidence.Outcome) -> None:
    server = Scripted(memory=[NOT_IN_MEMORY], webhook=[HEARD], webhook_set=answer)

    assert await carried_out(Step.RECREATE, server, broken_record=True) is Done.UNCERTAIN
    assert "delete" not in server.calls


async def test_ghost_is_deleted_without_a_logout() -> None:
    server = Scripted(memory=[NOT_IN_MEMORY])

    assert await carried_out(Step.DELETE, server) is Done.DONE
    assert "logout" not in server.calls


async def test_stable_close_is_deleted_without_a_logout() -> None:
    server = Scripted(memory=[CLOSE])

    assert await carried_out(Step.DELETE, server) is Done.DONE
    assert server.changes == ["delete"]
    assert server.calls.index("delete") > 5


async def test_close_that_was_the_gap_of_a_reconnect_is_logged_out_first() -> None:
    server = Scripted(memory=[CLOSE, CLOSE, CLOSE, OPEN])

    await carried_out(Step.DELETE, server)

    assert server.changes == ["logout", "delete"]


async def test_connected_instance_is_logged_out_until_it_is_accepted() -> None:
    server = Scripted(memory=[CONNECTING], logged_out=[ERROR_500, REFUSED, ACCEPTED])

    assert await carried_out(Step.DELETE, server) is Done.DONE
    assert server.calls.count("logout") == 3
    assert server.calls.index("delete") > 5


async def test_logout_that_answered_500_and_happened_is_seen_by_reading_again() -> None:
    server = Scripted(memory=[OPEN, CLOSE], logged_out=[ERROR_500])

    assert await carried_out(Step.DELETE, server) is Done.DONE
    assert server.calls.count("logout") == 1


async def test_flapping_instance_is_logged_out_also_in_its_close_phases() -> None:
    server = Scripted(memory=[CLOSE] * 20 + [CONNECTING], logged_out=[*[REFUSED] * 20, ACCEPTED])

    assert await carried_out(Step.DELETE, server, flapping=True) is Done.DONE
    assert server.calls.count("logout") == 21
    assert server.changes == ["logout", "delete"]


async def test_flapping_instance_that_refuses_every_logout_is_not_deleted() -> None:
    server = Scripted(memory=[CLOSE], logged_out=[REFUSED])

    assert await carried_out(Step.RECREATE, server, flapping=True) is Done.UNCERTAIN
    assert {"delete", "create"}.isdisjoint(server.calls)


async def test_instance_whose_state_cannot_be_read_is_not_deleted() -> None:
    server = Scripted(memory=[OPEN, TIMED_OUT], logged_out=[REFUSED])

    assert await carried_out(Step.RECREATE, server) is Done.UNCERTAIN
    assert {"delete", "create"}.isdisjoint(server.calls)


async def test_recreate_creates_only_when_both_witnesses_say_that_it_is_gone() -> None:
    server = Scripted(after_delete=[CLOSE, NOT_IN_MEMORY, TIMED_OUT, ABSENT], rows=[TIMED_OUT, PRESENT, GONE])

    assert await carried_out(Step.RECREATE, server) is Done.DONE
    assert server.calls[server.calls.index("delete") :] == [
        "delete",
        *("memory", "memory", "memory"),
        *("memory", "rows", "memory", "rows", "memory", "rows"),
        "create",
    ]


@pytest.mark.parametrize(
    ("memory", "rows"),
    [
        ([CLOSE], [GONE]),
        ([ABSENT], [PRESENT]),
        ([TIMED_OUT], [GONE]),
        ([ABSENT], [TIMED_OUT]),
        ([NOT_IN_MEMORY], [GONE]),
    ],
    ids=["in memory", "in the database", "memory unread", "database unread", "without a state"],
)
async def test_recreate_creates_nothing_while_a_witness_may_still_have_it(
    memory: Sequence[evidence.MemoryReading], rows: Sequence[evidence.DatabaseList | evidence.Unknown]
) -> None:
    time = simulated.Time()
    server = Scripted(after_delete=memory, rows=rows)

    assert await carried_out(Step.RECREATE, server, time=time) is Done.PENDING
    assert "create" not in server.calls
    assert 30 <= time.monotonic() < 40


async def test_delete_that_happened_half_is_sent_again_from_close() -> None:
    """2.3.7 answers 400 to a delete that logged out and kept the row; the next one is taken."""
    server = Scripted(
        memory=[OPEN], deleted=[HALF_DELETED, ACCEPTED], after_delete=[CLOSE, ABSENT], rows=[PRESENT, GONE]
    )

    assert await carried_out(Step.RECREATE, server) is Done.DONE
    assert server.calls.count("delete") == 2
    assert server.changes == ["logout", "delete", "create"]


async def test_delete_that_is_refused_is_sent_three_times_at_most_and_then_watched() -> None:
    server = Scripted(memory=[OPEN], deleted=[HALF_DELETED], after_delete=[CLOSE], rows=[PRESENT])

    assert await carried_out(Step.RECREATE, server) is Done.PENDING
    assert server.calls.count("delete") == 3
    assert "create" not in server.calls


@pytest.mark.parametrize("seen", [OPEN, CONNECTING, NOT_IN_MEMORY])
async def test_delete_that_is_refused_is_sent_again_from_close_only(seen: evidence.MemoryReading) -> None:
    server = Scripted(memory=[OPEN], deleted=[HALF_DELETED], after_delete=[seen], rows=[PRESENT])

    assert await carried_out(Step.RECREATE, server) is Done.PENDING
    assert server.calls.count("delete") == 1
    assert "create" not in server.calls


async def test_delete_that_is_refused_is_not_sent_again_to_what_cannot_be_read() -> None:
    server = Scripted(memory=[OPEN], deleted=[HALF_DELETED], after_delete=[TIMED_OUT])

    assert await carried_out(Step.RECREATE, server) is Done.UNCERTAIN
    assert server.calls.count("delete") == 1
    assert "create" not in server.calls


async def test_delete_without_an_answer_is_followed_by_nothing() -> None:
    server = Scripted(deleted=[TIMED_OUT])

    assert await carried_out(Step.RECREATE, server) is Done.UNCERTAIN
    assert server.calls[-1] == "delete"


async def test_recreate_whose_create_got_no_answer_does_not_post_it_again() -> None:
    server = Scripted(created=TIMED_OUT)

    assert await carried_out(Step.RECREATE, server, connect_after_create=True) is Done.UNCERTAIN
    assert server.calls.count("create") == 1
    assert "connect" not in server.calls


@pytest.mark.parametrize("step", [Step.CREATE, Step.RECREATE])
async def test_nothing_is_deleted_or_created_where_it_is_not_said_what_to_create(step: Step) -> None:
    server = Scripted()

    with pytest.raises(AssertionError):
        await carried_out(step, server, wanted=None)
    assert server.calls == []


async def test_recreate_spares_an_instance_that_was_paired_after_it_was_assessed() -> None:
    server = Scripted(memory=(OPEN,), rows=(PRESENT,), webhook=(None,))

    done = await carried_out(Step.RECREATE, server, spare_open=True)

    assert done is Done.REFUSED
    assert server.changes == []


async def test_deletion_that_a_user_asked_for_logs_an_open_instance_out() -> None:
    server = Scripted(memory=(OPEN,), webhook=(None,))

    assert await carried_out(Step.DELETE, server, spare_open=False) is Done.DONE

    assert server.changes == ["logout", "delete"]


LOGGED_OUT = evidence.DatabaseList({"shop": a_row("close")})
STILL_OPEN = evidence.DatabaseList({"shop": a_row("open")})


async def test_relogin_silences_the_webhook_logs_out_and_connects_once() -> None:
    server = Scripted(memory=[CONNECTING, CLOSE], rows=[LOGGED_OUT], webhook=[HEARD, SILENT])

    assert await carried_out(Step.RELOGIN, server) is Done.DONE
    assert server.changes == ["set", "logout", "connect"]
    assert server.calls[:3] == ["find", "set", "find"]
    assert server.calls.count("connect") == 1
    assert server.calls[-1] == "connect"


@pytest.mark.parametrize(
    ("webhook", "answer"),
    [([TIMED_OUT], ACCEPTED), ([HEARD, HEARD], ACCEPTED), ([HEARD, TIMED_OUT], ACCEPTED), ([HEARD, HEARD], ERROR_500)],
    ids=["unread", "still on", "not read back", "refused"],
)
async def test_nothing_is_logged_out_whose_webhook_may_still_be_called(
    webhook: Sequence[evidence.Webhook | evidence.Unknown], answer: evidence.Outcome
) -> None:
    """The LOGOUT_INSTANCE of a dead receiver would delete the next session minutes later."""
    server = Scripted(memory=[CONNECTING], webhook=webhook, webhook_set=answer)

    assert await carried_out(Step.RELOGIN, server) is Done.REFUSED
    assert {"logout", "connect"}.isdisjoint(server.calls)


async def test_relogin_logs_out_in_each_phase_that_is_not_close_though_some_are_refused() -> None:
    phases = [CLOSE, CLOSE, CLOSE, CONNECTING] * 4
    refusals: list[evidence.Outcome] = [*[REFUSED] * 3, ACCEPTED]
    server = Scripted(memory=[*phases, CLOSE], rows=[LOGGED_OUT], logged_out=refusals)

    assert await carried_out(Step.RELOGIN, server) is Done.DONE
    assert server.calls.count("logout") == 4
    assert server.changes == ["logout", "connect"]


async def test_accepted_logout_is_not_sent_again_while_memory_rests_in_close() -> None:
    server = Scripted(memory=[CONNECTING, CLOSE], rows=[STILL_OPEN, STILL_OPEN, LOGGED_OUT])

    assert await carried_out(Step.RELOGIN, server) is Done.DONE
    assert server.calls.count("logout") == 1


async def test_accepted_logout_that_did_not_end_the_turns_is_sent_again() -> None:
    server = Scripted(memory=[CONNECTING, CLOSE, CONNECTING, CLOSE], rows=[LOGGED_OUT])

    assert await carried_out(Step.RELOGIN, server) is Done.DONE
    assert server.calls.count("logout") == 2


async def test_relogin_believes_a_logout_that_answered_500_and_happened() -> None:
    """2.3.7 answers 500 to a logout that was carried out, and 400 from then on."""
    server = Scripted(memory=[CONNECTING, CLOSE], rows=[LOGGED_OUT], logged_out=[ERROR_500, REFUSED])

    assert await carried_out(Step.RELOGIN, server) is Done.DONE
    assert server.calls.count("connect") == 1


@pytest.mark.parametrize(
    ("memory", "rows"),
    [
        ([CONNECTING], [LOGGED_OUT]),
        ([CLOSE, CONNECTING], [LOGGED_OUT]),
        ([CLOSE], [STILL_OPEN]),
        ([CLOSE], [TIMED_OUT]),
        ([CLOSE], [GONE]),
    ],
    ids=["memory connecting", "memory turning", "database open", "database unread", "row gone"],
)
async def test_relogin_never_connects_before_both_witnesses_rest_in_close(
    memory: Sequence[evidence.MemoryReading], rows: Sequence[evidence.DatabaseList | evidence.Unknown]
) -> None:
    turning = [*memory] * 200
    server = Scripted(memory=turning, rows=rows)

    assert await carried_out(Step.RELOGIN, server) in (Done.UNCERTAIN, Done.REFUSED)
    assert "connect" not in server.calls
    assert server.calls.count("logout") <= 10


@pytest.mark.parametrize("seen", [TIMED_OUT, ABSENT, NOT_IN_MEMORY])
async def test_relogin_stops_where_memory_no_longer_tells(seen: evidence.MemoryReading) -> None:
    server = Scripted(memory=[CONNECTING, seen])

    assert await carried_out(Step.RELOGIN, server) is Done.UNCERTAIN
    assert server.calls.count("logout") == 1
    assert "connect" not in server.calls


@pytest.mark.parametrize("seen", [TIMED_OUT, ABSENT, NOT_IN_MEMORY])
async def test_relogin_that_ends_before_a_logout_says_that_the_session_is_as_it_was(
    seen: evidence.MemoryReading,
) -> None:
    server = Scripted(memory=[CLOSE, seen])

    assert await carried_out(Step.RELOGIN, server) is Done.REFUSED
    assert {"logout", "connect"}.isdisjoint(server.calls)


async def test_relogin_of_what_rests_in_close_and_was_not_logged_out_says_that_the_session_is_as_it_was() -> None:
    server = Scripted(memory=[CLOSE], rows=[STILL_OPEN])

    assert await carried_out(Step.RELOGIN, server) is Done.REFUSED
    assert {"logout", "connect"}.isdisjoint(server.calls)


async def test_logout_whose_answer_proves_nothing_leaves_the_relogin_uncertain() -> None:
    server = Scripted(memory=[CONNECTING, TIMED_OUT], logged_out=[TIMED_OUT])

    assert await carried_out(Step.RELOGIN, server) is Done.UNCERTAIN


@pytest.mark.parametrize("before", [0, 1, 4])
async def test_instance_that_is_open_is_not_logged_out(before: int) -> None:
    server = Scripted(memory=[*[CLOSE] * before, OPEN], rows=[STILL_OPEN], logged_out=[REFUSED])

    assert await carried_out(Step.RELOGIN, server) is Done.REFUSED
    assert {"logout", "connect"}.isdisjoint(server.calls)


async def test_relogin_whose_connect_has_no_answer_is_uncertain_and_does_not_connect_again() -> None:
    server = Scripted(memory=[CONNECTING, CLOSE], rows=[LOGGED_OUT], connected=TIMED_OUT)

    assert await carried_out(Step.RELOGIN, server) is Done.UNCERTAIN
    assert server.calls.count("connect") == 1


async def test_recreate_of_a_protected_instance_that_is_stuck_logs_out_deletes_and_creates_once() -> None:
    server = Scripted(memory=[CONNECTING], webhook=[HEARD, SILENT], rows=[PRESENT, GONE])

    assert await carried_out(Step.RECREATE, server, spare_open=True) is Done.DONE
    assert server.changes == ["set", "logout", "delete", "create"]
    assert server.calls.count("create") == 1


async def test_relogin_whose_connect_is_refused_does_not_say_that_nothing_was_done() -> None:
    server = Scripted(memory=[CONNECTING, CLOSE], rows=[LOGGED_OUT], connected=REFUSED)

    assert await carried_out(Step.RELOGIN, server) is Done.UNCERTAIN
    assert server.calls.count("logout") == 1


async def test_instance_that_opens_after_a_logout_was_sent_leaves_it_uncertain() -> None:
    server = Scripted(memory=[CONNECTING, OPEN], rows=[STILL_OPEN])

    assert await carried_out(Step.RELOGIN, server) is Done.UNCERTAIN
    assert "connect" not in server.calls
