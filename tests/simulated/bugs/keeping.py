"""What is forgotten, lost, or written over."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock

from whatsapp_operator.cluster import api
from whatsapp_operator.engine import (
    announce,
    approvals,
    configuration,
    context,
    controller,
    draft,
    keepsake,
    leadership,
    pausing,
    ports,
    presentation,
    queue,
    reconciler,
    sampling,
    seeing,
    server,
    servers,
    status,
    steps,
    tokens,
    treasury,
)
from whatsapp_operator.engine import subject as subjects
from whatsapp_operator.health import stability
from whatsapp_operator.recovery import guard, incident, ledger, planner
from whatsapp_operator.resources import names
from whatsapp_operator.resources.instance import DeletionPolicy
from whatsapp_operator.resources.reasons import Reason


def without_hold(name: str) -> Any:
    """What a server as a whole says to a step is not heard, neither when it is planned nor when it is taken."""
    return lambda: mock.patch.object(guard, name, return_value=None)


def lapse_goes_unnoticed() -> AbstractContextManager[Any]:
    """Whoever could not renew its Lease goes on as if it had."""
    return mock.patch.object(leadership.Leadership, "_notice_a_lapse", return_value=None)


def no_claim_is_required() -> AbstractContextManager[Any]:
    """Right before a resource is written, or a workload restarted, nobody asks whether the claim still holds."""
    return mock.patch.object(context.Context, "require_claim", return_value=None)


def server_that_goes_takes_new_instances() -> AbstractContextManager[Any]:
    """Whether its server is being deleted is not asked before a resource is held, nor whether it is just being held."""
    asked = reconciler.Reconciler._cannot_be_used  # noqa: SLF001 - what is asked there is the bug

    def cannot_be_used(self: Any, server: server.Server | None, draft: draft.Draft) -> Reason | None:
        why = asked(self, server, draft)
        return None if why is Reason.SERVER_TERMINATING else why

    def is_held(self: subjects.Subject) -> bool:
        return names.FINALIZER in self.metadata.finalizers

    stack = ExitStack()
    stack.enter_context(mock.patch.object(reconciler.Reconciler, "_cannot_be_used", cannot_be_used))
    stack.enter_context(mock.patch.object(subjects.Subject, "is_held", property(is_held)))
    return stack


def a_restart_of_the_server_counts_for_nothing_that_is_written() -> AbstractContextManager[Any]:
    """The incident that a restart of the server is for is written when there is time, which is after it."""

    async def write_down(*_: Any) -> None:
        """Nothing is written."""

    return mock.patch.object(steps.Steps, "write_down", write_down)


def budget_begins_anew() -> AbstractContextManager[Any]:
    """What was spent is kept in this process only."""

    def ledger_of(_: Any, one: server.Server, *, now: Any) -> ledger.Ledger:
        del now
        one.ledger = one.ledger or ledger.Ledger()
        return one.ledger

    return mock.patch.object(treasury, "ledger_of", ledger_of)


def conflict_is_swallowed() -> AbstractContextManager[Any]:
    """A write that was refused is taken for one that was done."""
    send = status.StatusWriter._send  # noqa: SLF001 - what is broken here

    async def swallowing(self: Any, kind: str, one: Any, *, before: Any, after: Any) -> ports.Body:
        try:
            return await send(self, kind, one, before=before, after=after)
        except ports.Conflict:
            spec = (one.instance or one.resource).spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
            return {"metadata": one.body["metadata"], "spec": spec, "status": after}

    return mock.patch.object(status.StatusWriter, "_send", swallowing)


def settings_are_set_at_each_look() -> AbstractContextManager[Any]:
    """Nobody compares the settings with those that are there."""

    async def is_kept(*_: object) -> bool:
        return False

    return mock.patch.object(configuration, "_is_kept", is_kept)


def webhook_stays_off() -> AbstractContextManager[Any]:
    """As it was before the simulation found it: what a Relogin has switched off is not known to need a look."""

    def beforehand(step: Any, step_class: Any) -> steps.Effect:
        return replace(steps_beforehand(step, step_class), configures=False)

    steps_beforehand = steps._beforehand  # noqa: SLF001 - what is broken here
    return mock.patch.object(steps, "_beforehand", beforehand)


def keepsake_is_not_kept() -> AbstractContextManager[Any]:
    """What is in no spec goes with the instance that is recreated."""

    async def keep(*_: object) -> None:
        return

    return mock.patch.object(keepsake, "keep", keep)


def retries_are_lost() -> AbstractContextManager[Any]:
    """A look that failed is not taken again."""
    return mock.patch.object(queue.WorkQueue, "retry", return_value=1.0)


def retries_come_at_once() -> AbstractContextManager[Any]:
    """A look that failed is taken again without a pause."""
    return mock.patch.multiple(queue, _BACKOFF_FIRST=0.0, _BACKOFF_LONGEST=0.0)


def pause_is_for_those_who_saw_it_begin() -> AbstractContextManager[Any]:
    """A process that starts during the pause of everything takes it for how things are."""
    take, first = pausing.Pausing._set, dict[int, Any]()  # noqa: SLF001 - what is broken here

    def forgetting(self: Any, pause: Any) -> None:
        usual = first.setdefault(id(self), pause)
        take(self, None if pause == usual else pause)

    return mock.patch.object(pausing.Pausing, "_set", forgetting)


def pause_of_a_server_is_not_heard() -> AbstractContextManager[Any]:
    """`pause` of an EvolutionServer is not read."""
    return mock.patch.object(server.Server, "paused", None)


def approval_is_not_used_up() -> AbstractContextManager[Any]:
    """One approval approves every step of an incident."""

    def token(given: draft.Draft, step: Any) -> str:
        return f"{step}-{given.recovery.incident}"

    return mock.patch.multiple(approvals, used=lambda _: None, _token=token)


def a_second_step_is_taken() -> AbstractContextManager[Any]:
    """Nobody waits for the verdict on the step before."""
    heal = reconciler.Reconciler._heal  # noqa: SLF001 - what is broken here

    async def healing(self: Any, one: server.Server, given: draft.Draft) -> None:
        await heal(self, one, given)
        if given.recovery.in_flight is not None:
            await self._planning.plan(one, given)

    def is_called_for(self: Any, one: server.Server, given: draft.Draft) -> bool:
        return stability.is_called_for(seeing.seen(self._context, one, given), given.verdict)

    stack = ExitStack()
    stack.enter_context(mock.patch.object(reconciler.Reconciler, "_heal", healing))
    stack.enter_context(mock.patch.object(sampling.Sampler, "_is_called_for", is_called_for))
    return stack


def nothing_cools_down() -> AbstractContextManager[Any]:
    """The next step comes as soon as the one before has failed."""
    return mock.patch.object(planner, "_not_before", return_value=None)


def a_moment_of_health_is_enough() -> AbstractContextManager[Any]:
    """Attempts count from zero as soon as it is well."""
    rested = incident.rested
    return mock.patch.object(
        incident, "rested", lambda recovery, *, now, min_healthy: rested(recovery, now=now, min_healthy=min_healthy * 0)
    )


def sessions_that_are_stored_nowhere_do_not_count() -> AbstractContextManager[Any]:
    """A server is restarted whoever loses a pairing by it."""
    return mock.patch.object(server.Server, "without_session", 0)


def a_restart_of_the_server_waits_for_nobody() -> AbstractContextManager[Any]:
    """A server is restarted in the middle of the steps that were asked of it."""
    judged = treasury.guard

    def alone(around: Any, one: server.Server, *, key: Any, now: Any) -> guard.Guard:
        found = judged(around, one, key=key, now=now)
        return replace(found, in_flight=0) if key is None else found

    return mock.patch.object(treasury, "guard", alone)


def every_namespace_is_going() -> AbstractContextManager[Any]:
    """A server that cannot be read is taken for one that went with its namespace."""

    async def namespace_is_terminating(*_: object) -> bool:
        return True

    return mock.patch.object(api.KubernetesApi, "namespace_is_terminating", namespace_is_terminating)


def nobody_lists_again() -> AbstractContextManager[Any]:
    """What the watch did not tell is never learned."""

    async def sweep_once(self: Any) -> None:
        while not await self._sweep():
            await self._context.sleep(1.0)

    return mock.patch.object(controller.Controller, "_sweep_for_ever", sweep_once)


def key_is_read_once() -> AbstractContextManager[Any]:
    """The key of a server is kept for as long as the process lives."""
    return mock.patch.object(servers.Servers, "_secrets_are_due", lambda _, one: one.client is None)


def token_goes_with_the_resource() -> AbstractContextManager[Any]:
    """What is retained loses the Secret that opens it."""

    async def outlive(*_: object) -> None:
        return

    return mock.patch.object(tokens, "outlive", outlive)


def token_is_written_over() -> AbstractContextManager[Any]:
    """A Secret that is in the way of a new token gets it."""
    generate = tokens._generate  # noqa: SLF001 - what is broken here

    async def overwriting(around: Any, given: draft.Draft) -> subjects.Token:
        key = ports.Key(given.subject.key.namespace, given.instance.token_secret.name)
        try:
            before = await around.kubernetes.read_secret(key)
        except ports.NotFound:
            return await generate(around, given)
        value = f"{around.random.getrandbits(160):040X}"
        values = {given.instance.token_secret.key: value.encode()}
        await around.kubernetes.replace_secret(key, values, resource_version=before.resource_version)
        return subjects.Token(value=value, generated=True)

    return mock.patch.object(tokens, "_generate", overwriting)


def takes_the_token_of_the_resource_before() -> AbstractContextManager[Any]:
    """As it was before the simulation found it: the Secret of a resource that is gone goes with it."""

    async def find(around: Any, given: Any) -> subjects.Token | None:
        reference, key = given.instance.token_secret, given.subject.key
        try:
            secret = await around.kubernetes.read_secret(type(key)(key.namespace, reference.name))
        except ports.NotFound:
            return None
        place = (reference.name, reference.key)
        return subjects.Token(value=secret.values[reference.key].decode(), generated=secret.managed, place=place)

    return mock.patch.object(tokens, "find", find)


def token_is_told() -> AbstractContextManager[Any]:
    """A message for people carries what it is about, the token included."""
    tell = announce.Announcer.announce

    def telling(self: Any, given: draft.Draft, reason: Any, *, detail: str = "") -> None:
        token = given.subject.token
        tell(self, given, reason, detail=f"{detail} {token.value if token is not None else ''}")

    return mock.patch.object(announce.Announcer, "announce", telling)


def token_is_audited() -> AbstractContextManager[Any]:
    """The evidence in the audit trail carries the token that it was read with."""
    words = announce.witnesses

    def witnesses(given: draft.Draft) -> str:
        token = given.subject.token
        return f"{words(given)} {token.value if token is not None else ''}"

    return mock.patch.object(announce, "witnesses", witnesses)


def status_tells_the_time() -> AbstractContextManager[Any]:
    """A moment that moves at each look is part of the status, and each read is worth a look."""
    present = presentation.present

    def moving(view: Any, *, now: Any) -> Any:
        found = present(view, now=now)
        connection = found.connection
        return found if connection is None else found.replace(connection=connection.replace(since=now))

    stack = ExitStack()
    stack.enter_context(mock.patch.object(reconciler, "present", moving))
    stack.enter_context(mock.patch.object(reconciler.Reconciler, "_is_steady", staticmethod(lambda _: False)))
    return stack


def adopted_is_deleted_by_default() -> AbstractContextManager[Any]:
    """Who adopts an instance, and deletes the resource, loses the instance."""
    given = property(lambda self: self.instance.spec.deletion_policy or DeletionPolicy.DELETE)
    return mock.patch.object(draft.Draft, "deletion_policy", given)


def a_wall_clock_is_believed() -> AbstractContextManager[Any]:
    """What was read in the future of a clock that went back stays fresh until then."""

    def fresh(self: server.Server, now: Any) -> bool:
        seen = self.observed
        if seen.memory_at is None or seen.rows_at is None or not self.identity_confirmed:
            return False
        return bool(now - seen.memory_at <= self.memory_limit and now - seen.rows_at <= timedelta(seconds=90))

    return mock.patch.object(server.Server, "fresh", fresh)


def no_calm_is_counted() -> AbstractContextManager[Any]:
    """Once there is a storm, nobody counts any more who is bad."""
    weathered = ledger.weathered

    def weathering(before: ledger.Ledger, *, bad: int, **more: Any) -> ledger.Ledger:
        return weathered(before, bad=bad if before.storm is None else 99, **more)

    return mock.patch.object(ledger, "weathered", weathering)


def what_was_tried_once_waits() -> AbstractContextManager[Any]:
    """The pause between two tries is of minutes, and not of seconds."""
    return mock.patch.object(planner, "_wait", return_value=timedelta(minutes=50))


def the_first_read_is_waited_for_without_an_end() -> AbstractContextManager[Any]:
    """A process that has not read a server yet leaves what the one before has said of its instances."""
    return mock.patch.object(server.Server, "just_begun", return_value=True)
