"""Asks every invariant at its moment, and notes what the answers were."""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Sequence

from evolution_simulator.api import message
from simulation.evolution import host
from simulation.invariants import calls, liveness, rest, restarts, steps, verdicts, writes
from simulation.kubernetes import kinds, server
from simulation.sight import Sight, in_flight, remote_of
from simulation.stage import Stage, key_of, ready, status_of
from whatsapp_operator.engine import reporting

_STALE_SECONDS = 30.0
_SLACK_SECONDS = 30.0
_GIVEN_UP_SECONDS = 15.0
"""The operator waits ten: what arrives later is nothing that it could take back, and is judged by what follows."""
_FAILURES, _FAILURES_WITHIN_SECONDS = 80, 10.0
_OPERATOR = "whatsapp-operator-member-"


class Watchdog:
    """Stands at both servers."""

    def __init__(self, stage: Stage, sight: Sight, *, of_calls: Sequence[calls.Check] = calls.CHECKS) -> None:
        self._of_calls = of_calls
        self._stage, self._sight, self._history = stage, sight, stage.history
        self.calls = self.writes = 0
        self.changed_at = 0.0
        """When an operator last wrote anything but a Lease, or changed anything on a server."""
        self._failures: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_FAILURES))
        stage.api.listeners.append(self._written)
        stage.api.on_vain.append(self._written_in_vain)
        stage.on_audit.append(self._audited)
        stage.on_said.append(self._said)
        stage.on_hit.append(self._failed)
        for one in stage.hosts.values():
            one.on_arrival.append(self._arrived)
            one.on_answer.append(self._answered)

    # At the Evolution API servers

    def _arrived(self, one: host.Arrival) -> None:
        self.calls += 1
        if not one.mutating:
            return
        self.changed_at = self._stage.loop.time()
        self._history.note(f"{one.caller[-8:]} calls {one.route} {one.host.name}/{one.instance}")
        given_up = self._stage.loop.time() - one.sent_at > _GIVEN_UP_SECONDS
        for check in () if given_up else self._of_calls:
            wrong = check(self._sight, one)
            if wrong is not None:
                self._violate(check.__name__, f"{one.route} {one.host.name}/{one.instance}: {wrong}")
        for step, holds in itertools.product(self._sight.beginning, steps.BEGINNING):
            wrong = holds(self._sight, step)
            if wrong is not None:
                self._violate(holds.__name__, f"{step.step} of {step.key.name}, as it begins: {wrong}")

    def _answered(self, one: host.Arrival, reply: message.Reply) -> None:
        if one.mutating:
            self._history.note(f"{one.caller[-8:]} is answered {reply.status} to {one.route} {one.instance}")

    # At the API server

    def _written(self, change: server.Change) -> None:
        if not change.writer.startswith(_OPERATOR):
            self._note_user(change)
            return
        self.writes += 1
        if change.kind is kinds.LEASES:
            return
        self.changed_at = self._stage.loop.time()
        self._note_write(change)
        self._judge_write(change, writes.CHECKS)
        self._judge_step(change)
        self._judge_restart(change)
        self._note_roll_out(change)

    def _written_in_vain(self, change: server.Change) -> None:
        if change.writer.startswith(_OPERATOR):
            self._judge_write(change, writes.IN_VAIN)

    def _judge_write(self, change: server.Change, checks: Sequence[writes.Check]) -> None:
        for check in checks:
            wrong = check(self._sight, change)
            if wrong is not None:
                self._violate(check.__name__, f"{change.kind.kind} {change.namespace}/{change.name}: {wrong}")

    def _note_roll_out(self, change: server.Change) -> None:
        """One whose announcement was written and not answered is not carried out, and its place is free again."""
        if change.kind in (kinds.DEPLOYMENTS, kinds.STATEFUL_SETS):
            announced = self._sight.restart_announced.pop(change.name, self._stage.loop.time())
            self._sight.restarts[change.name].append(announced)

    def _judge_step(self, change: server.Change) -> None:
        if change.kind is not kinds.INSTANCES or change.type == "DELETED" or change.before is None:
            return
        if in_flight(change.after) is None or in_flight(change.before) == in_flight(change.after):
            return
        one = self._sight.announced[-1]
        told = f"{one.step} of {one.remote[1]} ({one.step_class}, {one.reason})"
        self._history.note(f"{change.writer[-8:]} announces {told}")
        for check in steps.CHECKS:
            wrong = check(self._sight, one, change)
            if wrong is not None:
                self._violate(check.__name__, f"{one.step} of {one.key.name}, because of {one.reason}: {wrong}")
        self._crash_if_told(change.writer)

    def _judge_restart(self, change: server.Change) -> None:
        if change.kind is not kinds.SERVERS or change.before is None or change.type == "DELETED":
            return
        if in_flight(change.after) is None or in_flight(change.before) == in_flight(change.after):
            return
        self._sight.restart_announced[change.name] = self._stage.loop.time()
        self._history.note(f"{change.writer[-8:]} announces RestartServer of {change.name}")
        for check in restarts.CHECKS:
            wrong = check(self._sight, change.name, change.writer)
            if wrong is not None:
                self._violate(check.__name__, f"RestartServer of {change.name}: {wrong}")
        if self._stage.roll_outs_in_restart:
            seconds = self._stage.roll_outs_in_restart.pop(0)
            self._stage.loop.call_later(seconds, self._stage.roll_out_by_hand, change.name)
        if self._stage.stalls_in_restart:
            self._freeze(change.writer, self._stage.stalls_in_restart.pop(0))
        self._crash_if_told(change.writer)

    def _freeze(self, identity: str, seconds: float) -> None:
        for replica in self._stage.replicas:
            if replica.identity == identity:
                replica.life.freeze(seconds)

    def _crash_if_told(self, identity: str) -> None:
        if not self._stage.crash_after_announcement:
            return
        points = self._stage.crash_after_announcement.pop(0)
        for replica in self._stage.replicas:
            if replica.identity == identity:
                replica.life.die_after(points)

    def _note_user(self, change: server.Change) -> None:
        if change.kind in (kinds.INSTANCES, kinds.SERVERS):
            self._history.note(f"{change.writer} {change.type} {change.kind.kind} {change.namespace}/{change.name}")

    def _note_write(self, change: server.Change) -> None:
        who, what = change.writer[-8:], f"{change.kind.kind} {change.namespace}/{change.name}"
        if change.kind is kinds.INSTANCES and change.subresource == "status":
            told = rest.told(change.after)
            if change.before is None or rest.told(change.before) != told:
                self._history.note(f"{who} tells of {change.name}: {told}")
        elif change.kind is not kinds.EVENTS:
            self._history.note(f"{who} {change.type} {what} {change.subresource}".rstrip())

    def _said(self, line: str) -> None:
        """Invariant 10: no secret in the log either, nor in the audit trail."""
        if writes.holds_a_secret(self._sight, line):
            self._violate("no_secret_is_told", "the log holds a secret")

    def _audited(self, entry: reporting.Audit) -> None:
        self._said(repr(entry))
        if entry.phase is not reporting.Phase.RESULT:
            return
        self._history.note(f"verdict on {entry.step} of {entry.key.name}: {entry.result}")
        for of_server in verdicts.OF_SERVERS:
            wrong = of_server(self._sight, entry)
            if wrong is not None:
                self._violate(of_server.__name__, wrong)
        current = self._sight.current.get(entry.key)
        if current is None or current.step.value != entry.step:
            return
        current.over_at = current.over_at or self._stage.loop.time()
        for check in verdicts.CHECKS:
            wrong = check(self._sight, current, entry)
            if wrong is not None:
                self._violate(check.__name__, wrong)

    def _failed(self, writer: str) -> None:
        """A call that failed is made again after a pause, and a longer one each time."""
        now, latest = self._stage.loop.time(), self._failures[writer]
        latest.append(now)
        if len(latest) == _FAILURES and now - latest[0] < _FAILURES_WITHIN_SECONDS:
            self._violate("what_fails_is_not_repeated_at_once", f"{_FAILURES} calls failed in {now - latest[0]:.1f} s")
            latest.clear()

    # Now and then

    def look_around(self) -> None:
        """What no call and no write shows."""
        self._look_for_the_stale()
        if self._stage.loop.time() >= self._stage.calm_since:
            self._look_for_the_late()

    def _look_for_the_late(self) -> None:
        for body in self._stage.api.all(kinds.INSTANCES):
            for check in liveness.OF_INSTANCES:
                wrong = check(self._sight, body)
                if wrong is not None:
                    self._violate(check.__name__, f"{key_of(body).name}: {wrong}")
        for name in self._stage.hosts:
            for of_server in liveness.OF_SERVERS:
                wrong = of_server(self._sight, name)
                if wrong is not None:
                    self._violate(of_server.__name__, f"{name}: {wrong}")

    def _look_for_the_stale(self) -> None:
        """Invariant 8: while a leader runs, `Ready=True` implies a fresh observation."""
        if self._is_troubled():
            return
        now = self._stage.loop.time()
        for body in self._stage.api.all(kinds.INSTANCES):
            holder = self._sight.holder(remote_of(body)[0])
            if ready(body)[0] != "True" or "deletionTimestamp" in body["metadata"] or not self._works(holder):
                continue
            reads = self._sight.reads[holder or "", remote_of(body)[0]]
            # One that never read anything is to say so as soon as one that reads no more.
            began = self._sight.held_since.get(remote_of(body)[0], now)
            last = max((*reads.memory, *reads.single[remote_of(body)[1]]), default=began)
            if now - last > _STALE_SECONDS + _SLACK_SECONDS:
                self._violate("ready_is_fresh", f"{key_of(body).name} was last seen {now - last:.0f} s ago")

    def _is_troubled(self) -> bool:
        """The API server was not reliable lately, so that not everything may have been written."""
        recent = self._stage.loop.time() - 180.0
        return any(at > recent for kind, at in self._stage.fault_times.items() if _spoils_writes(kind))

    def _works(self, holder: str | None) -> bool:
        return any(one.identity == holder and not one.life.dead for one in self._stage.replicas)

    def _violate(self, name: str, text: str) -> None:
        self._history.violate(name, text)

    def reasons(self) -> list[str]:
        """What all instances say now."""
        bodies = self._stage.api.all(kinds.INSTANCES)
        return [str(status_of(one).get("reason") or "New") for one in bodies]


def _spoils_writes(kind: str) -> bool:
    return kind.startswith(("kubernetes", "watch")) or kind in (
        "freeze",
        "partition",
        "crash",
        "crash_in_step",
        "end_process",
        "recreate_server",
        "lose_lease",
        "clock_jump",
    )
