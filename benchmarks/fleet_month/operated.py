"""The operator as a policy: the real controller, adopting all numbers of a server before the month begins."""

from __future__ import annotations

import asyncio

from simulation import deeds
from simulation import setup as setups
from simulation.kubernetes import kinds, server
from simulation.sight import in_flight
from simulation.stage import Stage, key_of, ready, status_of

from benchmarks.fleet_month import skipping
from benchmarks.fleet_month.house import server_of
from benchmarks.fleet_month.truth import Truth
from evolution_simulator import whatsapp
from whatsapp_operator.cluster import secrets
from whatsapp_operator.resources.reasons import Reason

_ADOPTED_WITHIN_SECONDS = 3600.0
_SLICE_SECONDS = 5.0
_CALM_SECONDS = 30.0
"""In which both witnesses are read, the database at least once."""
_MEASURED_SECONDS = 1800.0
"""One probe period: what is called at rest in this time is called at rest in any other."""
_WAITING = Reason.QR_EXPIRED
"""Without a code on display, and until a person asks for one, nothing happens; one is shown to who was logged out."""


class NotAdoptedError(Exception):
    """The operator did not make all numbers its own."""


class Operated:
    """The operator at work on a stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._restless: set[str] = set()
        self._unquiet_until = 0.0
        self._requests = 0
        self._taken: list[tuple[str, str]] = []
        self.server_restarts = 0
        stage.api.listeners.append(self._written)

    async def begin(self) -> float:
        """Adopt all numbers; the calls a second that it makes at rest. Raises `NotAdoptedError`."""
        stage = self._stage
        stage.furnish()
        rows = server_of(stage).model.database.rows
        for one in stage.setup.instances:
            token = secrets.encode({"token": rows[one.name].token.encode()})
            stage.create(kinds.SECRETS, one.namespace, f"{one.name}-token", data=token)
            stage.create(kinds.INSTANCES, one.namespace, one.name, spec=one.spec)
        stage.start_replica(0)
        while not all(ready(body)[0] == "True" for body in stage.api.all(kinds.INSTANCES)):
            await asyncio.sleep(_SLICE_SECONDS)
            if stage.loop.time() > _ADOPTED_WITHIN_SECONDS:
                raise NotAdoptedError
        return await self._calls_at_rest()

    async def _calls_at_rest(self) -> float:
        calls = 0

        def count(_: object) -> None:
            nonlocal calls
            calls += 1

        await asyncio.sleep(_CALM_SECONDS)
        listeners = server_of(self._stage).on_arrival
        listeners.append(count)
        await asyncio.sleep(_MEASURED_SECONDS)
        listeners.remove(count)
        return calls / _MEASURED_SECONDS

    def is_quiet(self, truth: Truth) -> bool:
        """Whether nothing is under way: then each minute is like those before."""
        if self._restless or self._stage.loop.time() < self._unquiet_until:
            return False
        model = server_of(self._stage).model
        far = model.whatsapp
        if model.database.down or not model.running or far.reach_through or far.reach_of:
            return False
        if far.reach is not whatsapp.Reach.REACHABLE:
            return False
        return all(truth.rests(name) and not truth.is_paired(name) for name in truth.down())

    @property
    def steps(self) -> tuple[str, ...]:
        """What was done to which number, in its order for each number."""
        return tuple(f"{name}: {step}" for name, step in sorted(self._taken, key=lambda one: one[0]))

    def skip(self, seconds: float) -> None:
        """So much was skipped: bring the operator to where it would be had it polled through that time."""
        (one,) = self._stage.replicas
        skipping.carry_on(self._stage, one.context, seconds)

    def struck(self, *, lasting: float = 0.0) -> None:
        """A fault has struck: what comes of it shows in a while.

        So does its end, for which a timer of the loop is set, also where that of another fault has come before.
        """
        self._unquiet_until = max(self._unquiet_until, self._stage.loop.time() + lasting + _CALM_SECONDS)

    def ask_for_code(self, name: str) -> None:
        """A person asks for a QR code by annotation."""
        self._requests += 1
        self.struck()
        deeds.people.request(self._stage, namespace=setups.HOME, name=name, what="pairing", value=str(self._requests))

    def _written(self, change: server.Change) -> None:
        if change.kind is kinds.DEPLOYMENTS and change.type == "MODIFIED" and not change.subresource:
            self.server_restarts += 1
        if change.kind in (kinds.SERVERS, kinds.DEPLOYMENTS):
            self.struck()
        if change.kind is not kinds.INSTANCES:
            return
        name = key_of(change.after).name
        self.struck()
        step = in_flight(change.after)
        if step is not None and (change.before is None or in_flight(change.before) != step):
            self._taken.append((name, str(step["step"])))
        (self._restless.add if _is_restless(change.after) else self._restless.discard)(name)


def _is_restless(body: server.Body) -> bool:
    """Unless it is well, its incident over or about to be, or it waits for a person who was not there yet."""
    status = status_of(body)
    if (status.get("recovery") or {}).get("inFlight"):
        return True
    return ready(body)[0] != "True" and status.get("reason") != _WAITING
