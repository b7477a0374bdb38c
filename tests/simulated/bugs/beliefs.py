"""What is taken for granted, and was never proved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

from whatsapp_operator.engine import (
    catalogue,
    codes,
    server,
    server_restart,
    standing,
    steps,
    vouchers,
    vouching,
    warmup,
)
from whatsapp_operator.evolution import client, evidence
from whatsapp_operator.evolution.evidence import ConnectionState, Ignorance
from whatsapp_operator.health import record as records
from whatsapp_operator.health import rules
from whatsapp_operator.health.assessment import Seen, Verdict
from whatsapp_operator.recovery import gates, incident, ladder, strategies, verification
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState
from whatsapp_operator.resources.steps import Step, StepInFlight, StepResult

Reading = Callable[..., Awaitable[Any]]


def _reads(**readings: Reading) -> AbstractContextManager[Any]:
    """Reads of the Evolution client that go on with what the real ones have found."""
    stack = ExitStack()
    for name, reading in readings.items():
        stack.enter_context(mock.patch.object(client.Client, name, reading))
    return stack


def an_error_is_absence() -> AbstractContextManager[Any]:
    """A read that failed says that there is nothing."""
    memory, database = client.Client.read_memory, client.Client.list_database

    async def read_memory(self: client.Client, name: str) -> evidence.MemoryReading:
        found = await memory(self, name)
        return evidence.Absent() if isinstance(found, evidence.Unknown) else found

    async def list_database(self: client.Client) -> evidence.DatabaseList:
        found = await database(self)
        return evidence.DatabaseList({}) if isinstance(found, evidence.Unknown) else found

    return _reads(read_memory=read_memory, list_database=list_database)


def a_refused_key_is_a_logout() -> AbstractContextManager[Any]:
    """401 is taken for the instance's own: the server's key was changed."""
    memory, database, last = client.Client.read_memory, client.Client.list_database, dict[str, evidence.Row]()

    async def read_memory(self: client.Client, name: str) -> evidence.MemoryReading:
        found = await memory(self, name)
        return evidence.InMemory(ConnectionState.CLOSE) if _is_refused(found) else found

    async def list_database(self: client.Client) -> evidence.DatabaseList | evidence.Unknown:
        found = await database(self)
        if isinstance(found, evidence.DatabaseList):
            last.update(found.rows)
        return evidence.DatabaseList({name: _out(row) for name, row in last.items()}) if _is_refused(found) else found

    return _reads(read_memory=read_memory, list_database=list_database)


def _is_refused(found: object) -> bool:
    return found == evidence.Unknown(Ignorance.KEY_REJECTED)


def _out(row: evidence.Row) -> evidence.Row:
    return replace(row, state=ConnectionState.CLOSE, code=401, disconnection_at=datetime(2026, 11, 24, tzinfo=UTC))


def without_rule(*dropped: rules.Rule) -> Callable[[], AbstractContextManager[Any]]:
    """One thing that can be concluded is not known; the rules that stand in for each other go together."""
    left = tuple(one for one in rules.RULES if one not in dropped)
    return lambda: mock.patch.object(rules, "RULES", left)


def without_gate(gate: gates.Gate) -> Callable[[], AbstractContextManager[Any]]:
    """The planner does not ask one of its gates."""
    left = tuple(one for one in gates.GATES if one is not gate)
    return lambda: mock.patch.object(gates, "GATES", left)


def old_evidence_counts() -> AbstractContextManager[Any]:
    """What was seen before a step is what the next one rests on."""
    return mock.patch.object(records, "after_step", lambda record: record)


def a_server_is_warm_at_once() -> AbstractContextManager[Any]:
    """What a server does not hold in its first minutes is missing."""

    def observed(before: warmup.WarmUp, *, listed: Any, held: Any, at: Any, growth: Any) -> warmup.WarmUp:
        del before, growth
        return warmup.WarmUp(done=True, held=len(held), grown_at=at, ghosts=frozenset(listed - held))

    return mock.patch.multiple(warmup, observed=observed, begin=lambda before: before)


def the_reply_is_the_proof() -> AbstractContextManager[Any]:
    """A step that was answered has healed."""
    return mock.patch.object(verification, "judge", return_value=StepResult.SUCCEEDED)


def a_restart_is_posted_again() -> AbstractContextManager[Any]:
    """A restart that got no answer is posted once more."""

    async def restart(work: strategies.Work) -> strategies.Done:
        first = await strategies.restart(work)
        return await strategies.restart(work) if first is strategies.Done.UNCERTAIN else first

    changed = {step: restart if one is strategies.restart else one for step, one in strategies.STRATEGIES.items()}
    return mock.patch.object(strategies, "STRATEGIES", changed)


def a_recreate_does_not_wait() -> AbstractContextManager[Any]:
    """DELETE was accepted, so the name is free."""

    async def until_gone(_: strategies.Work) -> strategies.Done:
        return strategies.Done.DONE

    return mock.patch.object(strategies, "_until_gone", until_gone)


def nothing_is_ever_a_storm() -> AbstractContextManager[Any]:
    """Nobody counts who is bad."""
    return _stand(lambda found, _: standing.Standing.WELL if found is standing.Standing.BAD else found)


def who_waits_for_a_scan_is_bad() -> AbstractContextManager[Any]:
    """Those that wait for a person with a phone are counted as a storm."""
    return _stand(lambda found, verdict: standing.Standing.BAD if incident.is_bad(verdict) else found)


def _stand(change: Callable[[standing.Standing, Verdict], standing.Standing]) -> AbstractContextManager[Any]:
    judged = standing.of
    return mock.patch.object(standing, "of", lambda record, verdict: change(judged(record, verdict), verdict))


def acts_before_it_writes() -> AbstractContextManager[Any]:
    """A step is written to status when there is time, and not before it is taken."""

    async def write_ahead(*_: object) -> None:
        return

    return mock.patch.object(steps, "write_ahead", write_ahead)


def the_first_voucher_is_enough() -> AbstractContextManager[Any]:
    """As it was before a month of a fleet found it: the first to reopen vouches for those that are about to."""
    return mock.patch.object(gates, "_may_be_about_to_reopen", return_value=None)


def a_gap_proves_nothing_amiss() -> AbstractContextManager[Any]:
    """WhatsApp was reachable between two vouchers, however far apart they are."""
    return mock.patch.object(vouching, "_LATE", timedelta(hours=1))


def any_proxy_leads_the_same_way() -> AbstractContextManager[Any]:
    """An instance that goes through another proxy, or none, vouches for the way as well."""
    stack = ExitStack()
    for module in (vouchers, vouching):
        stack.enter_context(mock.patch.object(module, "way_of", return_value=None))
    return stack


def time_goes_on_where_the_clock_went_back() -> AbstractContextManager[Any]:
    """What was seen in the future of a clock that went back goes on to last, and for as long lasts no time."""

    def is_cut_off(self: server.Observed, _: datetime) -> bool:
        return self.unknown is not None

    return mock.patch.object(server.Observed, "is_cut_off", is_cut_off)


def one_observation_is_enough() -> AbstractContextManager[Any]:
    """What was read once is so, and is acted on, without a sample as well."""
    doubts = (gates.was_seen_only_once, gates.close_is_not_known_to_be_stable)
    return mock.patch.object(gates, "GATES", tuple(one for one in gates.GATES if one not in doubts))


def a_code_is_read_in_any_state() -> AbstractContextManager[Any]:
    """`connect` is called for a code whenever one is wanted, as if it only read."""

    async def read(self: Any, server: server.Server, draft: Any) -> None:
        one, client = draft.subject, server.client
        one.pairing_next_at = self._context.clock.monotonic() + 10.0
        if client is not None:
            await client.connect(draft.instance.remote_name)

    def may_be_read(self: Any, server: server.Server, draft: Any) -> bool:
        return server.warm and bool(self._context.clock.monotonic() >= draft.subject.pairing_next_at)

    return mock.patch.multiple(codes.Codes, _read=read, _may_be_read=may_be_read)


def a_restart_begins_with_a_logout() -> AbstractContextManager[Any]:
    """What helps many by hand is a logout and a restart, so that is what a restart does."""

    async def restart(work: strategies.Work) -> strategies.Done:
        await work.server.logout(work.name)
        return await strategies.restart(work)

    return mock.patch.object(strategies, "STRATEGIES", {**strategies.STRATEGIES, Step.RESTART: restart})


def nothing_is_protected() -> AbstractContextManager[Any]:
    """What a step costs depends on the step alone."""
    return mock.patch.object(ladder, "class_of", lambda step, **_: _CLASS_OF(step, protected=False))


_CLASS_OF = ladder.class_of


def what_the_witnesses_differ_on_is_stuck() -> AbstractContextManager[Any]:
    """S19 is taken for a connection that hangs, which a Restart heals."""

    def differs(seen: Seen) -> Verdict | None:
        found = rules.lost_its_stored_session(seen)
        return Verdict(HealthState.STUCK, Reason.CONNECTING) if found is not None else None

    left = tuple(differs if one is rules.lost_its_stored_session else one for one in rules.RULES)
    stack = ExitStack()
    stack.enter_context(mock.patch.object(rules, "RULES", left))
    stack.enter_context(without_gate(gates.works_only_until_a_restart)())
    return stack


def the_latest_acts() -> AbstractContextManager[Any]:
    """Of two resources for one instance, the one that came last is what its user wants."""
    return mock.patch.object(
        catalogue, "_age", lambda one: -datetime.fromisoformat(one.body["metadata"]["creationTimestamp"]).timestamp()
    )


def an_outage_is_no_reason_to_wait() -> AbstractContextManager[Any]:
    """A server that does not answer is restarted all the same: that mostly helps."""
    asked = server_restart.refusals

    def refusals(*args: Any, **more: Any) -> Any:
        return tuple(hold for hold in asked(*args, **more) if hold.reason is not Reason.WARMING_UP)

    return mock.patch.object(server_restart, "refusals", refusals)


def a_rollout_that_was_asked_for_is_over() -> AbstractContextManager[Any]:
    """The restart of a server has succeeded once its workload was told to replace its pod."""

    async def proceed(self: Any, one: server.Server, flying: StepInFlight, _: object) -> float:
        self._conclude(one, flying, StepResult.SUCCEEDED)
        return 1.0

    return mock.patch.object(server_restart.ServerRestarts, "_proceed", proceed)


def the_reply_to_a_relogin_is_the_proof() -> AbstractContextManager[Any]:
    """An instance that was logged out shows a code: there is nothing to be observed."""
    judge = verification.judge

    def believing(flying: StepInFlight, seen: verification.Aftermath, **more: Any) -> StepResult | None:
        return StepResult.SUCCEEDED if flying.step is Step.RELOGIN else judge(flying, seen, **more)

    return mock.patch.object(verification, "judge", believing)
