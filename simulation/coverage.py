"""What the runs have reached: states, transitions, steps and their verdicts, refusals, and what faults have struck."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from simulation.kubernetes import kinds, server
from simulation.stage import condition, status_of
from whatsapp_operator.engine import reporting
from whatsapp_operator.recovery import ladder
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step, StepResult


@dataclass
class Coverage:
    """Counts; those of several runs can be added."""

    reasons: Counter[str] = field(default_factory=Counter)
    transitions: Counter[tuple[str, str]] = field(default_factory=Counter)
    steps: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By step and verdict."""
    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Those in which a step was begun, and those in which it had a verdict, by both."""
    deletions: Counter[str] = field(default_factory=Counter)
    """Resources that were to go: what they said, and whether they went."""
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By step and what is against it."""
    struck: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By what an instance said, and the fault that struck then."""

    def add(self, other: Coverage) -> None:
        """Count in what another run has reached."""
        for mine, others in zip(self._counters(), other._counters(), strict=True):
            mine.update(others)

    def clear(self) -> None:
        """Count from zero."""
        for one in self._counters():
            one.clear()

    def _counters(self) -> tuple[Counter[Any], ...]:
        return self.reasons, self.transitions, self.steps, self.runs, self.deletions, self.refusals, self.struck

    def written(self, change: server.Change) -> None:
        """A write to the API server."""
        self._note_deletion(change)
        if change.kind is not kinds.INSTANCES or change.subresource != "status" or change.before is None:
            return
        before, after = (str(status_of(one).get("reason") or "New") for one in (change.before, change.after))
        if before != after:
            self.reasons[after] += 1
            self.transitions[before, after] += 1

    def _note_deletion(self, change: server.Change) -> None:
        if change.kind is not kinds.INSTANCES or "deletionTimestamp" not in change.after["metadata"]:
            return
        said, says = (condition(one, "Synced")[1] if one is not None else "" for one in (change.before, change.after))
        if change.type == "DELETED":
            self.deletions["Ended"] += 1
        elif says != said:
            self.deletions[says] += 1

    def audited(self, entry: reporting.Audit) -> None:
        """An audit record."""
        if entry.phase is reporting.Phase.INTENT:
            self.runs[entry.step, _BEGUN] = 1
        elif entry.phase is reporting.Phase.RESULT:
            self.steps[entry.step, entry.result or ""] += 1
            self.runs[entry.step, entry.result or ""] = 1
        elif entry.phase is reporting.Phase.REFUSED:
            self.refusals.update((entry.step, reason) for reason in entry.blocked_by)

    def strikes(self, fault: str, reasons: Iterable[str]) -> None:
        """A fault strikes while instances say what they say."""
        self.struck.update((reason, fault) for reason in reasons)

    def report(self, every: Collection[str]) -> str:
        """What was reached, and what was not, of every fault that there is."""
        return "\n".join([*self._reached(every), *self._missed(every)])

    def details(self, every: Collection[str]) -> str:
        """Each pair that was reached, and how often; then the pairs of a state and a fault that were not."""
        lines = [f"transition {before} -> {after}: {n}" for (before, after), n in sorted(self.transitions.items())]
        lines += [f"refused {step} {reason}: {n}" for (step, reason), n in sorted(self.refusals.items())]
        lines += [f"struck {reason} by {fault}: {n}" for (reason, fault), n in sorted(self.struck.items())]
        lines += [f"no transition {before} -> {after}" for before, after in sorted(self.missing_transitions())]
        missed = sorted(self._pairs(every) - self.struck.keys())
        return "\n".join([*lines, *(f"not struck {reason} by {fault}" for reason, fault in missed), ""])

    def missing_transitions(self) -> set[tuple[str, str]]:
        """What was not gone through, of all from a state that was left to one that was come into.

        And of what has to be possible whatever an instance says: that it is well, in doubt, or cannot be asked.
        """
        left, entered = ({pair[end] for pair in self.transitions} for end in (0, 1))
        every = {(one, other) for one in left for other in entered if one != other} | _POSSIBLE
        return every - self.transitions.keys()

    def _pairs(self, every: Collection[str]) -> set[tuple[str, str]]:
        """All that there could be: every fault, whether or not it has struck, in every state that is known of."""
        states = {reason for reason, _ in self.struck} | {reason.value for reason in _CONCLUDED}
        return {(state, fault) for state in states for fault in every}

    def _reached(self, every: Collection[str]) -> Iterable[str]:
        faults = {fault for _, fault in self.struck}
        yield f"states of instances    {len(self.reasons)}"
        yield f"transitions            {len(self.transitions)}"
        yield f"steps by verdict       {len(self.steps)}, {sum(self.steps.values())} in all"
        yield f"deletions              {', '.join(f'{what} {n}' for what, n in sorted(self.deletions.items()))}"
        yield f"refusals by step       {len(self.refusals)}"
        yield f"faults                 {len(faults)} of {len(every)}"
        yield f"pairs of state, fault  {len(self.struck)} of {len(self._pairs(every))}"
        for step, verdict in sorted(self.steps):
            yield f"  {step} {verdict}: {self.steps[step, verdict]}"
        for step in Step:
            begun, well = self.runs[step, _BEGUN], self.runs[step, StepResult.SUCCEEDED]
            yield f"runs with a {step}: {begun}, and with one that healed: {well}"

    def _missed(self, every: Collection[str]) -> Iterable[str]:
        told = {reason.value for reason in _CONCLUDED} - self.reasons.keys()
        yield f"states never reached: {', '.join(sorted(told)) or 'none'}"
        struck = {fault for _, fault in self.struck}
        unmet = self.missing_transitions()
        yield f"transitions never reached: {len(unmet)} of {len(unmet) + len(self.transitions)}"
        possible = sorted(f"{before} -> {after}" for before, after in unmet & _POSSIBLE)
        yield f"of them possible for sure: {', '.join(possible) or 'none'}"
        yield f"faults that never struck: {', '.join(sorted(set(every) - struck)) or 'none'}"
        refused = {reason for _, reason in self.refusals}
        yield f"refusals never met: {', '.join(sorted(_AGAINST - refused)) or 'none'}"
        # A DELETE has no verdict: it is sent again until the instance is gone.
        pairs = {(step.value, result.value) for step in Step if step is not Step.DELETE for result in StepResult}
        missing = sorted(f"{step} {verdict}" for step, verdict in pairs - self.steps.keys())
        yield f"verdicts never passed: {', '.join(missing) or 'none'}"


_BEGUN = "Begun"
_CONCLUDED = frozenset(ladder.LADDERS) | {
    Reason.HEALTHY,
    Reason.AWAITING_SCAN,
    Reason.RESTRICTED,
    Reason.CREDENTIALS_LOST,
    Reason.SESSION_MISSING,
    Reason.FLAPPING,
    Reason.SETTLING,
    Reason.TERMINATING,
    Reason.SERVER_UNREACHABLE,
}
_POSSIBLE = {
    (before.value, after.value)
    for before in _CONCLUDED - {Reason.TERMINATING}
    for after in (Reason.HEALTHY, Reason.SETTLING, Reason.SERVER_UNREACHABLE)
    if before is not after
}
"""Whatever an instance says, it can be healed from outside, turn, or lose its server."""
_AGAINST = frozenset(
    reason.value
    for reason in (
        Reason.WARMING_UP,
        Reason.RECOVERY_DISABLED,
        Reason.DRY_RUN,
        Reason.PAUSED,
        Reason.SERVER_RESTARTING,
        Reason.SESSION_MISSING,
        Reason.PROTECTED_INSTANCE,
        Reason.APPROVAL_REQUIRED,
        Reason.NOT_VOUCHED_FOR,
        Reason.NEEDS_SERVER_RESTART,
        Reason.STORM,
        Reason.BUDGET_EXHAUSTED,
        Reason.TOO_MANY_IN_FLIGHT,
        Reason.FEW_INSTANCES,
    )
)
