"""The truth, as only the simulation sees it: both servers from inside, and who did what.

Invariants are judged by this, never by what the operator believes.
"""

from __future__ import annotations

import functools
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evolution_simulator import database, whatsapp
from evolution_simulator import instance as instances
from evolution_simulator.api import message
from evolution_simulator.version import ConnectionState
from simulation import setup as setups
from simulation.evolution import host
from simulation.kubernetes import kinds, server
from simulation.replica import NAMESPACE
from simulation.stage import Stage, key_of, status_of
from whatsapp_operator.cluster import secrets
from whatsapp_operator.engine import leadership, ports
from whatsapp_operator.resources import names, parsing, policy
from whatsapp_operator.resources.budgets import Budget
from whatsapp_operator.resources.errors import InvalidResource
from whatsapp_operator.resources.steps import Step, StepClass

Body = Mapping[str, Any]
Remote = tuple[str, str]
"""A server's name, and an instance's name on it."""

_REMEMBERED = 40


@dataclass(slots=True)
class Announced:
    """A step that was written to the status of an instance."""

    step: Step
    step_class: StepClass
    reason: str
    at: float
    by: str
    key: ports.Key
    remote: Remote
    row_id: str | None
    incident: str
    approval: str | None
    """The annotation that approves it, where one does."""
    over_at: float | None = None
    begun: bool = False
    """A call of it has arrived."""


@dataclass(slots=True)
class Reads:
    """When one process was answered by one server."""

    memory: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    database: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    single: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=_REMEMBERED)))


class Sight:
    """What has happened so far, and how things are."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.announced: list[Announced] = []
        self.current: dict[ports.Key, Announced] = {}
        self.states: dict[Remote, deque[tuple[float, ConnectionState | None]]] = defaultdict(
            lambda: deque(maxlen=_REMEMBERED)
        )
        self.left_open: dict[Remote, float] = {}
        """When it was last open no more."""
        self.reads: dict[tuple[str, str], Reads] = defaultdict(Reads)
        """By process and server."""
        self.acted_at: dict[Remote, float] = {}
        """When the last call that changes something was answered."""
        self.vouched: dict[str, list[tuple[float, str, str]]] = defaultdict(list)
        """By server: when an instance opened, or answered a probe, which, and through which proxy."""
        self.specs: dict[str, list[tuple[float, Body]]] = defaultdict(list)
        """By uid: the versions of a resource, with the time at which each was written."""
        self.created: dict[Remote, list[tuple[float, str]]] = defaultdict(list)
        """Creates that were carried out, and by whom."""
        self.restarted: dict[Remote, list[float]] = defaultdict(list)
        """When the restarts of an instance that have arrived were sent."""
        self.beginning: list[Announced] = []
        """What the call that arrived last is the first call of."""
        self.restarts: dict[str, list[float]] = defaultdict(list)
        """By server: when restarts of it were announced that were carried out."""
        self.restart_announced: dict[str, float] = {}
        """By server: when the one was announced that is not carried out yet, and may never be."""
        self.unreachable_since: dict[Remote, float] = {}
        """When WhatsApp could be reached no more by an instance, in an outage that it shares with others."""
        self.cut_off_alone: set[Remote] = set()
        """Those whose own way was cut off: of that nobody else could tell."""
        self.reachable_again: dict[Remote, float] = {}
        """When WhatsApp could be reached again by an instance, after an outage that it shared with others."""
        self.asked_to_go: set[str] = set()
        """Ids of rows that an operator has sent a DELETE for."""
        self.owned_ids: dict[ports.Key, set[str]] = defaultdict(set)
        self.forgotten: dict[str, float] = {}
        """By server: when what was spent of its budget was last lost with its claim, or with its resource."""
        self.held_since: dict[str, float] = {}
        """By server: when its claim was last taken."""
        stage.api.listeners.append(self._written)
        for one in stage.hosts.values():
            one.on_arrival.append(self._arrived)
            one.on_answer.append(self._answered)
            self._follow(one)

    # What happens

    def _follow(self, there: host.Host) -> None:
        model, changed = there.model, there.model.memory_changed

        def memory_changed() -> None:
            changed()
            self._note_states(there)

        model.memory_changed = memory_changed  # type: ignore[method-assign]  # the one place that hears of each change
        self._follow_the_way(there)

    def _follow_the_way(self, there: host.Host) -> None:
        far, change = there.model.whatsapp, there.model.whatsapp.set_reach

        def set_reach(reach: whatsapp.Reach, *, name: str | None = None, proxy: str | None = None) -> None:
            known = list(there.model.memory.values())
            away = [one for one in known if not _is_reachable(one)]
            change(reach, name=name, proxy=proxy)
            for one in known:
                where = there.name, one.name
                if name is None:
                    self._note_reach(where, is_away=not _is_reachable(one), was_away=one in away)
                elif name == one.name:
                    self.cut_off_alone = self.cut_off_alone - {where} | ({where} if not _is_reachable(one) else set())

        far.set_reach = set_reach  # type: ignore[method-assign]  # likewise

    def _note_reach(self, remote: Remote, *, is_away: bool, was_away: bool) -> None:
        now = self.stage.loop.time()
        if remote in self.cut_off_alone:
            self.cut_off_alone -= {remote} if not is_away else set()
        elif is_away and not was_away:
            self.unreachable_since[remote] = now
        elif was_away and not is_away:
            self.reachable_again[remote] = now

    def _note_states(self, there: host.Host) -> None:
        now, memory = self.stage.loop.time(), there.model.memory
        for name in {*memory, *(name for server_name, name in self.states if server_name == there.name)}:
            one = memory.get(name)
            seen, state = self.states[there.name, name], one.state if one is not None else None
            if seen and seen[-1][1] is state:
                continue
            if seen and seen[-1][1] is ConnectionState.OPEN:
                self.left_open[there.name, name] = now
            seen.append((now, state))
            if state is ConnectionState.OPEN:
                self._note_voucher((there.name, name))

    def _arrived(self, one: host.Arrival) -> None:
        if one.route == "restart":
            self.restarted[one.host.name, one.instance or ""].append(one.sent_at)
        row = self.row((one.host.name, one.instance or ""))
        if one.route == "delete" and row is not None:
            self.asked_to_go.add(row.id)
        of = [each for each in self.current.values() if each.by == one.caller]
        self.beginning = [
            each for each in of if one.mutating and not each.begun and each.remote == (one.host.name, one.instance)
        ]
        for each in self.beginning:
            each.begun = True

    def _answered(self, one: host.Arrival, reply: message.Reply) -> None:
        now, name = self.stage.loop.time(), one.host.name
        reads = self.reads[one.caller, name]
        good = reply.status < 400
        if one.route == "metrics" and good:
            reads.memory.append(now)
        elif one.route == "fetchInstances" and good:
            reads.database.append(now)
        elif one.route == "connectionState" and reply.status in (200, 404):
            reads.single[one.instance or ""].append(now)
        elif one.route == "fetchBusinessProfile" and good:
            self._note_voucher((name, one.instance or ""))
        elif one.route == "create" and reply.status == 201:
            self.created[name, one.instance or ""].append((now, one.caller))
            self._note_owner((name, one.instance or ""))
        if one.steps:
            self.acted_at[name, one.instance or ""] = now

    def _note_voucher(self, remote: Remote) -> None:
        self.vouched[remote[0]].append((self.stage.loop.time(), remote[1], self.way(remote)))

    def _written(self, change: server.Change) -> None:
        if change.kind in (kinds.LEASES, kinds.SERVERS):
            self._note_claim(change)
        if change.kind is not kinds.INSTANCES:
            return
        body, key = change.after, key_of(change.after)
        versions = self.specs[body["metadata"]["uid"]]
        if change.type == "ADDED" or change.before is None or change.before["spec"] != body["spec"]:
            versions.append((self.stage.loop.time(), body))
        found = status_of(body).get("instanceID")
        if found is not None and self._is_proved(body, found):
            self.owned_ids[key].add(found)
        self._note_step(change, key)
        if change.type == "DELETED" and (last := self.current.pop(key, None)) is not None:
            last.over_at = last.over_at or self.stage.loop.time()

    def _note_claim(self, change: server.Change) -> None:
        is_claim = change.kind is kinds.LEASES
        for name in self.stage.hosts:
            if change.name != (_claim_name(name) if is_claim else name):
                continue
            if change.type == "DELETED":
                self.forgotten[name] = self.stage.loop.time()
            elif is_claim and _holder(change.before) != _holder(change.after):
                self.held_since[name] = self.stage.loop.time()

    def _note_owner(self, remote: Remote) -> None:
        """What was created with the token in a resource's own Secret is its own, also if that goes before a status."""
        row = self.row(remote)
        for body in self.standing_for(remote)[:1]:
            secret = self._token_secret(body)
            owners = secrets.read(secret).owner_uids if secret is not None else ()
            if row is not None and body["metadata"]["uid"] in owners and row.token == self.token(body):
                self.owned_ids[key_of(body)].add(row.id)

    def _is_proved(self, body: Body, instance_id: str) -> bool:
        """What a status says of whose an instance is has to be true when it is first said."""
        row = self.row(remote_of(body))
        return row is None or row.id != instance_id or row.token == self.token(body)

    def _note_step(self, change: server.Change, key: ports.Key) -> None:
        before, after = (in_flight(body) if body is not None else None for body in (change.before, change.after))
        if before == after:
            return
        known = self.current.get(key)
        if before is not None and known is not None:
            if after is None or _is_concluded(change.after, before):
                known.over_at = known.over_at or self.stage.loop.time()
            self.current.pop(key, None)
        if after is None or change.type == "DELETED":
            return
        one = self._announcement(change, key, after)
        self.announced.append(one)
        self.current[key] = one

    def _announcement(self, change: server.Change, key: ports.Key, after: Body) -> Announced:
        remote = remote_of(change.after)
        row = self.row(remote)
        return Announced(
            step=Step(after["step"]),
            step_class=StepClass(after["class"]),
            reason=after.get("reason", ""),
            at=self.stage.loop.time(),
            by=change.writer,
            key=key,
            remote=remote,
            row_id=row.id if row is not None else None,
            incident=(status_of(change.after).get("recovery") or {}).get("incident", ""),
            approval=approval_of(change),
        )

    # How things are

    def row(self, remote: Remote) -> database.Row | None:
        """The row of an instance, if there is one."""
        found = self.stage.hosts.get(remote[0])
        return found.model.database.rows.get(remote[1]) if found is not None else None

    def memory(self, remote: Remote) -> instances.Instance | None:
        """The instance in memory, if there is one."""
        found = self.stage.hosts.get(remote[0])
        return found.model.memory.get(remote[1]) if found is not None else None

    def way(self, remote: Remote) -> str:
        """The proxy through which an instance goes to WhatsApp; empty where it needs none, or has no row."""
        row = self.row(remote)
        return row.dials_through if row is not None else ""

    def state_since(self, remote: Remote) -> tuple[float, ConnectionState | None]:
        """The memory state, and since when."""
        seen = self.states.get(remote)
        return seen[-1] if seen else (0.0, None)

    def was(self, remote: Remote, state: ConnectionState | None, *, within: float) -> bool:
        """Whether memory showed a state at any time of the last seconds."""
        seen, begin = self.states.get(remote), self.stage.loop.time() - within
        if not seen:
            return state is None
        if state is ConnectionState.OPEN and self.left_open.get(remote, float("-inf")) >= begin:
            return True
        pairs = list(seen)
        ends = [at for at, _ in pairs[1:]] + [float("inf")]
        return any(found is state and end >= begin for (_, found), end in zip(pairs, ends, strict=True))

    def spent(self, remote: Remote, state: ConnectionState | None, *, within: float) -> float:
        """Seconds of the last ones in which memory showed a state."""
        return sum(end - begin for begin, end, found in self.spans(remote, within=within) if found is state)

    def spans(self, remote: Remote, *, within: float) -> list[tuple[float, float, ConnectionState | None]]:
        """What memory showed in the last seconds: from when, until when, and what."""
        now, pairs = self.stage.loop.time(), list(self.states.get(remote, ()))
        ends = [at for at, _ in pairs[1:]] + [now]
        every = [(max(at, now - within), end, found) for (at, found), end in zip(pairs, ends, strict=True)]
        return [(begin, end, found) for begin, end, found in every if end > begin]

    def protected(self, remote: Remote) -> bool:
        """Whether it is paired, or holds data."""
        row = self.row(remote)
        if row is None:
            return False
        stored = self.stage.hosts[remote[0]].model.database.sessions.get(row.id)
        # A phone that was linked a moment ago, and never logged in, is known to nobody but WhatsApp.
        known = stored is not None and stored.kind is database.CredentialsKind.PAIRED
        return (known and stored is not None and stored.owner_jid == row.owner_jid) or any(row.counts.values())

    def standing_for(self, remote: Remote) -> list[Body]:
        """The resources that stand for an instance, the oldest first."""
        found = [one for one in self.stage.api.all(kinds.INSTANCES) if remote_of(one) == remote]
        return sorted(found, key=lambda one: (one["metadata"]["creationTimestamp"], key_of(one)))

    def goes(self, remote: Remote) -> bool:
        """Whether a resource that stands for an instance is being deleted: nobody waits any more for a step on it."""
        return any("deletionTimestamp" in body["metadata"] for body in self.standing_for(remote))

    def token(self, body: Body) -> str | None:
        """The token in the Secret of an instance's resource."""
        found = self._token_secret(body)
        if found is None:
            return None
        value = secrets.read(found).values.get((body["spec"].get("tokenSecretRef") or {}).get("key", "token"))
        return value.decode() if value is not None else None

    def _token_secret(self, body: Body) -> Body | None:
        reference = body["spec"].get("tokenSecretRef") or {"name": f"{body['metadata']['name']}-token"}
        return self.stage.api.find(kinds.SECRETS, key_of(body).namespace, reference["name"])

    def owns(self, body: Body, remote: Remote) -> bool:
        """Whether the instance on the server is the resource's: by its id, or by its token."""
        row = self.row(remote)
        if row is None or row.id in self.owned_ids[key_of(body)]:
            return True
        return row.token == self.token(body)

    def claim(self, name: str) -> Body | None:
        """The claim on a server."""
        return self.stage.api.find(kinds.LEASES, NAMESPACE, _claim_name(name))

    def holder(self, name: str) -> str | None:
        """Who holds a server."""
        return _holder(self.claim(name))

    def server_body(self, name: str) -> Body | None:
        """The resource of a server."""
        return self.stage.api.find(kinds.SERVERS, setups.HOME, name)

    def policy(self, body: Body) -> policy.Policy:
        """What holds for an instance."""
        found = self.server_body(remote_of(body)[0])
        try:
            spec = parsing.parse_instance(body).spec
            return policy.resolve(spec, parsing.parse_server(found).spec) if found is not None else policy.Policy()
        except InvalidResource:
            return policy.Policy()

    def budget(self, name: str) -> Budget:
        """The budget of a server."""
        found = self.server_body(name)
        return parsing.parse_server(found).spec.budget if found is not None else Budget()

    def read_since(self, process: str, remote: Remote, moment: float) -> int:
        """How often a process has read the memory state of an instance since a moment."""
        reads = self.reads[process, remote[0]]
        return sum(at > moment for at in (*reads.memory, *reads.single[remote[1]]))


@functools.cache
def _claim_name(name: str) -> str:
    return leadership.claim_name(ports.Key(setups.HOME, name), scope="")


def _holder(claim: Body | None) -> str | None:
    return claim["spec"].get("holderIdentity") if claim is not None else None


def _is_reachable(one: instances.Instance) -> bool:
    return not isinstance(one, instances.BaileysInstance) or one.reachable


def _is_concluded(after: Body, before: Body) -> bool:
    """Whether the history has the verdict on the step that was in flight."""
    history = (status_of(after).get("recovery") or {}).get("history", ())
    return any((one["step"], one["startTime"]) == (before["step"], before["since"]) for one in history)


def approval_of(change: server.Change) -> str | None:
    """The annotation by which a person has approved what status offered for approval."""
    before = status_of(change.before) if change.before is not None else {}
    offered = ((before.get("recovery") or {}).get("approval") or {}).get("token")
    given: str | None = change.after["metadata"].get("annotations", {}).get(names.APPROVE)
    return given if given is not None and given == offered else None


def in_flight(body: Body) -> Body | None:
    """The step in flight that a status shows."""
    found: Body | None = (status_of(body).get("recovery") or {}).get("inFlight")
    return found


def remote_of(body: Body) -> Remote:
    """Server and name of an instance."""
    spec = body["spec"]
    return spec["serverRef"]["name"], spec.get("instanceName") or body["metadata"]["name"]
