"""A small stage: one server, few instances, operators that work in rounds, and fates that are chosen."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

from evolution_simulator import world
from evolution_simulator.api import message
from simulation import setup as setups
from simulation.evolution import host
from simulation.exhaustive import chance, stand
from simulation.exhaustive.fates import Fate
from simulation.exhaustive.rounds import Rounds, Task
from simulation.kubernetes import faults
from simulation.replica import Replica
from simulation.stage import KEY, Stage
from whatsapp_operator.cluster import transport
from whatsapp_operator.engine import ports
from whatsapp_operator.evolution import errors
from whatsapp_operator.plugins.plugged import NOTHING, Plugged

_NO = '{"status":400,"error":"Bad Request","response":{"message":["no"]}}'
_NO_WITH_200 = '{"error":true,"message":"[object Object]"}'
_SETS_A_WEBHOOK = "webhookSet"
_BODILESS = ("restart", "connect")
"""Routes that say no with 200."""
_TOTAL = "evolution_instances_total"
_COUNTED = ("evolution_instance_", f"{_TOTAL} ")
_OF_KUBERNETES = {
    Fate.LOST: faults.Fault.REFUSED,
    Fate.UNANSWERED: faults.Fault.RESET_AFTER,
    Fate.CONFLICT: faults.Fault.CONFLICT,
}


class Chosen(faults.Faults):
    """What becomes of the next call to the API server."""

    def __init__(self) -> None:
        super().__init__()
        self.fate = Fate.WELL

    def take(self, call: transport.Call, writer: str, *, now: float) -> faults.Rule | None:
        """The fault that was chosen, once."""
        fate, self.fate = self.fate, Fate.WELL
        if fate in _OF_KUBERNETES:
            return faults.Rule(fault=_OF_KUBERNETES[fate], count=1)
        return super().take(call, writer, now=now)


class Host(host.Host):
    """What becomes of the next call to an Evolution API server is chosen."""

    fate = Fate.WELL

    def __init__(self, model: world.World, *, loop: stand.Loop, name: str, webhooks_refused: set[str | None]) -> None:
        super().__init__(model, loop=loop, name=name)
        self._webhooks_refused = webhooks_refused

    def _serve(self, one: host.Arrival, _: object, answered: host.Answered) -> None:
        fate, self.fate = self.fate, Fate.WELL
        if fate is Fate.LOST:
            answered(errors.Broken)
        elif fate is Fate.REFUSED:
            for listener in self.on_arrival:
                listener(one)
            if one.route == _SETS_A_WEBHOOK:
                self._webhooks_refused.add(one.instance)
            answered(_refusal(one.route))
        elif fate is Fate.UNANSWERED:
            self._handle(one, lambda _: answered(errors.Broken))
        elif fate is Fate.EMPTY:
            self._handle(one, functools.partial(_answer_without_instances, answered, one.route))
        else:
            self._handle(one, answered)


def _refusal(route: str | None) -> message.Reply:
    if route in _BODILESS:
        return message.Reply(status=200, body=_NO_WITH_200)
    return message.Reply(status=400, body=_NO)


def _answer_without_instances(answered: host.Answered, route: str | None, what: message.Reply | host.Lost) -> None:
    if not isinstance(what, message.Reply):
        answered(what)
    elif route == "fetchInstances":
        answered(replace(what, body="[]"))
    else:
        lines = [line for line in what.body.splitlines() if not line.startswith(_COUNTED)]
        answered(replace(what, body="\n".join((*lines, f"{_TOTAL} 0")) + "\n"))


class SmallStage(Stage):
    """Its operators work in rounds, and nothing is left to chance."""

    loop: stand.Loop

    def __init__(self, setup: setups.Setup, loop: stand.Loop, *, platform: stand.Platform) -> None:
        self.platform = platform
        self.rounds: list[Rounds] = []
        self.task: Task | None = None
        self.reads_beside = False
        self.plugged: Plugged = NOTHING
        self._begun = 0
        self.chosen = Chosen()
        self.webhooks_refused: set[str | None] = set()
        """Instances whose webhook a server did not want; whoever puts one back need not ask again."""
        super().__init__("small", setup, loop, live=self._live, stream=chance.Steady, spoilt=self.chosen)

    def _live(self, around: stand.Loop, *, on_death: Callable[[], None]) -> stand.Life:
        self._begun += 1
        return stand.Life(around, on_death=on_death, platform=self.platform, name=chr(ord("A") + self._begun - 1))

    def _host(self, one: setups.ServerSetup) -> host.Host:
        model = super()._host(one).model
        return Host(model, loop=self.loop, name=one.name, webhooks_refused=self.webhooks_refused)

    def begin(self, one: Replica) -> None:
        """A process begins its rounds."""
        server = self.setup.servers[0]
        endpoint = ports.Endpoint(url=server.url, api_key=KEY, per_second=1000, max_in_flight=256)
        one.context.plugged = self.plugged
        rounds = Rounds(one, endpoint=endpoint, task=lambda: self.task, reads_beside=self.reads_beside)
        self.rounds = [each for each in self.rounds if not each.replica.life.dead] + [rounds]
        one.context.tasks.spawn("rounds", rounds.run())
