"""The pause of everything: a ConfigMap that anyone with the right can create and delete with one command.

It is read every few seconds, so it holds over every restart of the operator and for all replicas. An answer that proves
nothing changes nothing; and before the first one nothing may be created, healed or deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from whatsapp_operator.engine import ports
from whatsapp_operator.engine.context import Context
from whatsapp_operator.resources import names
from whatsapp_operator.resources.pause import Pause, PauseOfEverything

_REASON_LENGTH = 1024


class Pausing:
    """Keeps `Context.pause` equal to the ConfigMap."""

    def __init__(self, context: Context, *, namespace: str, known: Callable[[], None]) -> None:
        """`known` is called after each reading that told whether there is a pause."""
        self._context, self._known = context, known
        self._key = ports.Key(namespace, names.PAUSE_CONFIG)
        self._told_unreadable = self._told_failing = False

    async def run(self) -> None:
        """Read it without end."""
        while True:
            await self.read()
            await self._context.sleep(self._context.limits.pause_period)

    async def read(self) -> None:
        """Read it once."""
        try:
            pause = self._understood(await self._context.kubernetes.read_config(self._key))
        except ports.NotFound:
            pause = None
        except ports.KubernetesError as error:
            self._tell_failing(error)
            return
        self._told_failing = False
        self._set(pause)
        self._known()

    def _set(self, pause: Pause | None) -> None:
        if pause == self._context.pause:
            return
        self._context.pause = pause
        for server in self._context.servers.values():
            self._context.look_at_server(server)
        for subject in self._context.subjects.values():
            self._context.look_at(subject)

    def _understood(self, data: Mapping[str, str]) -> Pause:
        reason, until = data.get("reason", "")[:_REASON_LENGTH], data.get("until", "").strip()
        try:
            ends = datetime.fromisoformat(until) if until else None
        except ValueError:
            ends = None
        if until and (ends is None or ends.tzinfo is None):
            self._tell_unreadable()
            return PauseOfEverything(reason=reason, end_unread=True)
        self._told_unreadable = False
        return PauseOfEverything(reason=reason, until=ends)

    def _tell_unreadable(self) -> None:
        if not self._told_unreadable:
            self._told_unreadable = True
            self._context.telemetry.problem(
                "The pause has an end that cannot be read, and lasts until it is deleted; give a time such as "
                "2027-01-31T18:00:00Z",
                namespace=self._key.namespace,
                name=self._key.name,
            )

    def _tell_failing(self, error: ports.KubernetesError) -> None:
        if not self._told_failing:
            self._told_failing = True
            self._context.telemetry.problem(
                "The pause cannot be read; the last answer holds", error=type(error).__name__
            )
