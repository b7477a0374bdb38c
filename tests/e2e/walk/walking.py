"""One walk: many resources get their changes at once, all of them settle, and then nothing moves any more."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from e2e import kube, stage
from e2e.walk import api, changes, meaning, moves, schema
from evolution_simulator.control_client import Simulator

INSTANCES, SERVERS = "whatsappinstances", "evolutionservers"
KINDS = {INSTANCES: "WhatsAppInstance", SERVERS: "EvolutionServer"}
SETTLES_WITHIN = 90.0
RESTS_FOR = 7.0
"""Longer than the time between two reads of a server, and between two sweeps."""
GROWS_OLD_WITHIN = 18.0
"""A server that cannot be read is told of in an Event when its last reading is three periods old."""
GOES_WITHIN = 120.0
_POLL_SECONDS = 1.0
_LAST_LINES = 5
_PROBES = frozenset({"fetchBusinessProfile"})
"""Counted as changing by the journal, and asked for by the clock."""

Judge = Callable[[meaning.Object, meaning.World], Iterable[meaning.Unmet]]
JUDGES: Mapping[str, Judge] = {INSTANCES: meaning.of_instance, SERVERS: meaning.of_server}


@dataclass(frozen=True, slots=True)
class Case:
    """A resource that is created from `base`, and whose changes then follow each other without a wait."""

    name: str
    base: changes.Spec
    changes: tuple[changes.Change, ...]
    created_with_it: bool = False
    """The first change is in it when it is created."""
    shows_codes: bool = False
    """It is not paired, so that its QR codes, which change by the clock, are written on."""

    def __str__(self) -> str:
        return f"{self.name} ({', then '.join(map(str, self.changes))})"


@dataclass
class Tally:
    """What came of a walk."""

    told: Path
    """Everything is written there at once: a walk that is broken off keeps what it found."""
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def violated(self, words: str) -> None:
        """Keep what must not be so."""
        self.violations.append(words)
        self.tell(f"VIOLATION {words}")

    def tell(self, words: str) -> None:
        """Keep how far it came, for whoever looks on."""
        with self.told.open("a") as told:
            told.write(f"{api.now():%H:%M:%S} {words}\n")

    def judge(
        self, case: Case, change: changes.Change, verdict: changes.Verdict, answer: api.Object | api.Refusal
    ) -> bool:
        """Count an answer of the API server; whether it accepted."""
        self.counts["changes"] += 1
        refused = isinstance(answer, api.Refusal)
        self.counts["refused"] += refused
        wanted = changes.Verdict.REFUSED if refused else changes.Verdict.ACCEPTED
        if verdict not in (wanted, changes.Verdict.EITHER):
            self.violated(f"{case}: {change} is {wanted.value}: {answer if refused else ''}")
        if isinstance(answer, api.Refusal) and not _names_the_field(change, answer.message):
            self.violated(f"{case}: the refusal of {change} does not name its field: {answer.message}")
        return not refused


def _names_the_field(change: changes.Change, message: str) -> bool:
    """Or one beside it, which is missing or contradicts it; a path has the number of an item in place of `[]`."""
    steps = [step for step in change.field.steps if step != schema.ITEM]
    return "spec" in message and any(step in message for step in steps)


@dataclass
class Walk:
    """What a walk needs."""

    plural: str
    place: stage.Stage
    api: api.Api
    evolution: httpx.Client

    def __post_init__(self) -> None:
        self.whole = schema.spec_of(self.plural)
        self.tally = Tally(self.place.operator.log_file.with_name("walk.log"))
        self._logged = 0

    @property
    def simulator(self) -> Simulator:
        return self.place.simulator

    def run(self, cases: Sequence[Case], *, refused: Sequence[tuple[changes.Spec, changes.Change]] = ()) -> None:
        """All of them at once, from their creation to their end; what must be `refused` is asked of some of them."""
        self.run_in_rounds([cases], refused=refused)

    def run_in_rounds(
        self, rounds: Sequence[Sequence[Case]], *, refused: Sequence[tuple[changes.Spec, changes.Change]] = ()
    ) -> None:
        """Likewise, with the same resources in every round: the cases of a later one carry names of the first."""
        self.simulator.reset_calls()
        living = self._create(rounds[0])
        self._settle(living)
        self._refuse(living, refused)
        for number, cases in enumerate(rounds, 1):
            present = [case for case in cases if case.name in {one.name for one in living}]
            api.each(present, self._changed)
            self._settle(present)
            self._rest(present)
            self._look_into_the_log()
            self.tally.tell(f"round {number} of {len(rounds)}: {dict(self.tally.counts)}")
        self._end(living)

    def _create(self, cases: Sequence[Case]) -> list[Case]:
        answers = api.each(cases, self._created)
        living = [case for case, accepted in zip(cases, answers, strict=True) if accepted]
        if self.plural == INSTANCES:
            self._pair([case for case in living if not case.shows_codes])
        return living

    def _created(self, case: Case) -> bool:
        spec = self._created_as(case)
        body = {"apiVersion": "whatsapp-operator.dev/v1alpha1", "kind": KINDS[self.plural]}
        answer = self.api.create(self.plural, body | {"metadata": {"name": case.name}, "spec": spec})
        if case.created_with_it:
            return self.tally.judge(case, case.changes[0], changes.verdict(self.whole, spec), answer)
        assert not isinstance(answer, api.Refusal), (case, answer)
        return True

    def _created_as(self, case: Case) -> changes.Spec:
        return case.changes[0].applied_to(case.base, self.whole) if case.created_with_it else case.base

    def _pair(self, cases: Iterable[Case]) -> None:
        """Pair those that come to exist; whoever does not, has to say why."""
        left = {str(self._created_as(case).get("instanceName", case.name)) for case in cases}
        deadline = time.monotonic() + SETTLES_WITHIN
        while left and time.monotonic() < deadline:
            inside = self.simulator.state()["instances"]
            ready = {name for name in left if inside.get(name, {}).get("memory") is not None}
            api.each(ready, self._pair_one)
            left -= ready | self._told(left)
            time.sleep(_POLL_SECONDS)

    def _pair_one(self, name: str) -> None:
        if self.simulator.instance(name)["connections"] is not None:  # others need no phone
            self.simulator.pair(name)

    def _told(self, names: set[str]) -> set[str]:
        found = self.api.list(self.plural)
        return {name for name in names if name in found and "Stalled" in meaning.conditions(found[name])}

    def _changed(self, case: Case) -> None:
        before = self._created_as(case)
        for change in case.changes[1:] if case.created_with_it else case.changes:
            spec = change.applied_to(before, self.whole)
            answer = self.api.replace_spec(self.plural, case.name, spec)
            if self.tally.judge(case, change, changes.verdict(self.whole, spec, before=before), answer):
                before = spec

    def _refuse(self, living: Sequence[Case], refused: Sequence[tuple[changes.Spec, changes.Change]]) -> None:
        """Ask for what must be refused, of one that lives and has the same base, and of a new one."""
        hosts = {str(case.base): case for case in living if not case.created_with_it}
        api.each(refused, lambda one: self._refuse_one(hosts[str(one[0])], one[1]))

    def _refuse_one(self, case: Case, change: changes.Change) -> None:
        spec = change.applied_to(case.base, self.whole)
        answer = self.api.replace_spec(self.plural, case.name, spec)
        self.tally.judge(case, change, changes.Verdict.REFUSED, answer)
        if changes.verdict(self.whole, spec) is changes.Verdict.REFUSED:
            body = {"apiVersion": "whatsapp-operator.dev/v1alpha1", "kind": KINDS[self.plural]}
            new = self.api.create(self.plural, body | {"metadata": {"name": "never"}, "spec": spec})
            self.tally.judge(case, change, changes.Verdict.REFUSED, new)

    def _settle(self, cases: Iterable[Case]) -> None:
        """Wait until each is as it says, or says why it is not; within a bound."""
        left, wrong = {case.name: case for case in cases}, dict[str, list[str]]()
        deadline = time.monotonic() + SETTLES_WITHIN
        while left and time.monotonic() < deadline:
            wrong = self._wrong(left)
            left = {name: left[name] for name in wrong}
            time.sleep(_POLL_SECONDS if left else 0)
        for name, case in left.items():
            self.tally.violated(f"{case}: {'; '.join(wrong[name])}")

    def _wrong(self, cases: Mapping[str, Case]) -> dict[str, list[str]]:
        found = self.api.list(self.plural)
        bodies = {name: found[name] for name in cases}
        world = api.world(self.api, self.simulator, self.evolution, bodies if self.plural == INSTANCES else {})
        wrong = {name: list(_against(body, JUDGES[self.plural], world)) for name, body in bodies.items()}
        return {name: each for name, each in wrong.items() if each}

    def _rest(self, cases: Sequence[Case]) -> None:
        """A second look at everything writes nothing, and calls nothing that changes anything."""
        changing = {case.name for case in cases if case.shows_codes}
        deadline = time.monotonic() + SETTLES_WITHIN
        quiet = RESTS_FOR if self.plural == INSTANCES else GROWS_OLD_WITHIN
        while (moved := self._moved(quiet, changing)) and time.monotonic() < deadline:
            self.tally.tell(f"before it rests: {moved}")
        for name, what in (moved or self._moved(RESTS_FOR, changing)).items():
            self.tally.violated(f"at rest {name} was written or called: {what}; {self._said_of(name)}")
        self._count(cases)

    def _said_of(self, what: str) -> list[str]:
        """The last lines of the operator that name an object, or the instance of a call."""
        name = what.replace(" ", "/").rpartition("/")[2].partition(".")[0]
        lines = self.place.operator.log().splitlines()
        return [line for line in lines if f'"{name}"' in line][-_LAST_LINES:]

    def _moved(self, seconds: float, changing: set[str]) -> dict[str, str]:
        before, since = self.api.everything(), len(self.simulator.calls(mutating=True))
        self.place.quiet_for(seconds)
        now, calls = self.api.everything(), self.simulator.calls(mutating=True)[since:]
        written = self._written(before, now)
        scanned = {f"connect {_remote(body)}" for body in now.values() if moves.waits_for_a_phone(body)}
        called = {
            f"{call['route']} {call['instance']}": f"answered {call['status']}"
            for call in calls
            if call["route"] not in _PROBES and f"{call['route']} {call['instance']}" not in scanned
        }
        return {one: what for one, what in (written | called).items() if not any(name in one for name in changing)}

    def _written(self, before: Mapping[str, meaning.Object], now: Mapping[str, meaning.Object]) -> dict[str, str]:
        written = {}
        for name, what in moves.between(before, now).items():
            if moves.is_by_the_clock(name, now.get(name, {}), what):
                self.tally.tell(f"by the clock {name}: {'; '.join(what)}")
            else:
                written[name] = "; ".join(what)
        return written

    def _count(self, cases: Sequence[Case]) -> None:
        found = self.api.list(self.plural)
        world = api.world(self.api, self.simulator, self.evolution, found if self.plural == INSTANCES else {})
        for case in cases:
            unmet = list(JUDGES[self.plural](found[case.name], world))
            self.tally.counts["explained" if unmet else "reached"] += 1

    def _end(self, cases: Sequence[Case]) -> None:
        """All go, and leave on the server what their policy says."""
        found = self.api.list(self.plural)
        before = api.world(self.api, self.simulator, self.evolution, {}).rows
        api.each([case.name for case in cases], lambda name: self.api.delete(self.plural, name))
        going = {case.name for case in cases}
        held = {
            name for name in going if meaning.is_paused(found[name]["spec"], api.now()) and self.plural == INSTANCES
        }
        for name in held:
            spec = {key: value for key, value in found[name]["spec"].items() if key != "pause"}
            self.api.replace_spec(self.plural, name, spec)
        self._wait_for_the_end_of(going)
        left = api.world(self.api, self.simulator, self.evolution, {}).rows
        for name in going if self.plural == INSTANCES else ():
            spec = found[name]["spec"]
            remote = _remote(found[name])
            kept, was = remote in left, remote in before
            if was and kept is not (spec.get("deletionPolicy") == "Retain"):
                self.tally.violated(f"{name}: after its deletion the instance is {'there' if kept else 'gone'}")

    def _wait_for_the_end_of(self, going: set[str]) -> None:
        try:
            kube.wait_until(lambda: not going & self.api.list(self.plural).keys(), timeout=GOES_WITHIN)
        except AssertionError:
            for name, body in self.api.list(self.plural).items():
                if name in going:
                    self.tally.violated(f"{name} did not go: {_told(body)}")

    def _look_into_the_log(self) -> None:
        process = self.place.operator.process
        if process is None or process.poll() is not None:
            self.tally.violated("the operator has ended")
        log = self.place.operator.log()
        for line in log[self._logged :].splitlines():
            if "Traceback" in line or '"exception"' in line:
                self.tally.violated(line[:2000])
        self._logged = len(log)


def _against(body: meaning.Object, judge: Judge, world: meaning.World) -> Iterator[str]:
    old = meaning.unobserved(body)
    if old:
        yield old
        return
    for unmet in judge(body, world):
        if not meaning.explained(body, unmet):
            yield f"{unmet.what}; told: {_told(body)}"


def _remote(body: meaning.Object) -> str:
    return str(body["spec"].get("instanceName", body["metadata"]["name"]))


def _told(body: meaning.Object) -> dict[str, tuple[str, str]]:
    return {kind: (one["status"], one["reason"]) for kind, one in meaning.conditions(body).items()}


def named(
    found: Iterable[tuple[changes.Spec, tuple[changes.Change, ...], dict[str, Any]]], *, first: int = 0
) -> list[Case]:
    """Cases, each with a name of its own, numbered from `first`."""
    return [Case(f"w{number:05}", base, made, **more) for number, (base, made, more) in enumerate(found, first)]


def in_rounds(cases: Sequence[Case], *, at_once: int) -> list[list[Case]]:
    """The same cases, so many at once, under the names of the first of them. They have to have one base."""
    names = [case.name for case in cases[:at_once]]
    rounds = [cases[begin : begin + at_once] for begin in range(0, len(cases), at_once)]
    return [[replace(case, name=name) for name, case in zip(names, one, strict=False)] for one in rounds]
