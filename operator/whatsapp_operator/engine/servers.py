"""One look at one server: its Secrets, its client, its observer, its conditions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from whatsapp_operator.engine import finalizers, ports, reporting, server_restart, treasury
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.fence import Fenced
from whatsapp_operator.engine.observer import Observer
from whatsapp_operator.engine.server import Observed, Server
from whatsapp_operator.engine.server_presentation import (
    STORM_SENTENCES,
    present_server,
    reasons,
    states,
    uses_of,
)
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.engine.warmup import WarmUp
from whatsapp_operator.recovery import guard as guards
from whatsapp_operator.recovery import incident
from whatsapp_operator.resources import instance, names
from whatsapp_operator.resources import server as servers
from whatsapp_operator.resources.instance import DeletionPolicy
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.server import EvolutionServerSpec, EvolutionServerStatus
from whatsapp_operator.resources.status import HealthState

_SOON = 2.0


class Servers:
    """Looks at servers."""

    def __init__(self, context: Context, writer: StatusWriter) -> None:
        self._context, self._writer = context, writer
        self._announcer = Announcer(context)
        self._restarts = server_restart.ServerRestarts(context, writer, self._announcer)
        self._tasks: dict[ports.Key, tuple[Observer, asyncio.Task[None]]] = {}
        self._secrets_due: dict[ports.Key, float] = {}
        self._secrets_generation: dict[ports.Key, int] = {}

    async def look(self, one: Server) -> float | None:
        """One look at a server; the seconds to the next one, or None where it is another replica's.

        Raises:
            ports.KubernetesError: the Kubernetes API did not do its part.
        """
        with self._context.claims.work(one.key) as is_ours:
            if is_ours:
                return await self._look(one)
        if not self._context.claims.holds(one.key):
            await self.forget(one)
        return None

    async def _look(self, one: Server) -> float | None:
        if one.metadata.deletion_timestamp is not None and await self._may_go(one):
            await finalizers.remove(self._context, servers.KIND, one, names.SERVER_FINALIZER)
            return None
        if not one.restored:
            one.restore()
        one.history = incident.records_without_future(one.history, now=self._context.clock.now())
        if one.resource is not None and one.problem is None:
            if one.metadata.deletion_timestamp is None:
                await finalizers.add(self._context, servers.KIND, one, names.SERVER_FINALIZER)
            await self._connect(one, one.resource.spec)
        self._tell_instances(one)
        one.has_twin = self._has_twin(one)
        restart_wait = await self._restarts.look(one)
        latched = one.pinned_client_name is not None
        guard = treasury.guard(self._context, one, key=None, now=self._context.clock.now())
        wait = await self._writer.write_server(one, self._shown(one, guard))
        if not latched and one.pinned_client_name is not None:
            # The client name is now held to, and written down: what is read under it may be believed.
            self._context.hurry(one)
        self._announce(one)
        self._context.telemetry.instances(one.key, _by_word(states(one)), _by_word(reasons(one)))
        self._tell_guard(one, guard)
        await self._keep_ledger(one)
        waits = (wait, restart_wait, self._until_stale(one), self._until_secrets(one), self._until_pause_ends(one))
        return min(filter(None, waits), default=_SOON)

    def _has_twin(self, one: Server) -> bool:
        """Whether two EvolutionServers stand for one Evolution API, which each takes to be its own."""
        others = (other for other in self._context.servers.values() if other is not one)
        url = _url_of(one)
        return url is not None and any(_url_of(other) == url for other in others)

    def _shown(self, one: Server, guard: guards.Guard) -> EvolutionServerStatus:
        now = self._context.clock.now()
        return present_server(
            one,
            guard=guard,
            refusals=server_restart.refusals(self._context, one, now=now),
            pause=server_restart.pause_of(self._context, one, now=now),
            now=now,
        )

    def _tell_guard(self, one: Server, guard: guards.Guard) -> None:
        uses = {str(use.step_class): (use.used, use.max) for use in uses_of(guard, now=self._context.clock.now())}
        told = reporting.Guarded(storm=guard.ledger.storm is not None, waiting=len(one.wishes), budget=uses)
        self._context.telemetry.guarded(one.key, told)

    async def _keep_ledger(self, one: Server) -> None:
        """A storm that begins or ends is kept, and told once."""
        storm = one.ledger is not None and one.ledger.storm is not None
        if storm is not one.told_storm or storm is not one.kept_storm:
            await treasury.save(self._context, one)
            one.told_storm = storm
            reason = Reason.STORM if storm else Reason.STORM_OVER
            self._announcer.announce_server(one, reason, text=STORM_SENTENCES[reason])
            self._context.look_at_all(one)

    def _until_pause_ends(self, one: Server) -> float | None:
        now = self._context.clock.now()
        pause = server_restart.pause_of(self._context, one, now=now)
        if pause != one.told_pause:
            one.told_pause = pause
            self._context.look_at_all(one)
        return (pause.until - now).total_seconds() + 1.0 if pause is not None and pause.until is not None else None

    async def _may_go(self, one: Server) -> bool:
        """Instances that are to be deleted on the server need its key."""
        for subject in self._context.subjects.values():
            # Where this process never understood the spec there is no seat, and there may be an instance.
            named = subject.named if subject.instance is None else None
            if (subject.seat[0] if subject.seat is not None else named) != one.key:
                continue
            # Unless we hold it there is nothing of it on the server, as where the server does not admit it.
            if subject.is_held and _may_be_deleted(subject.instance):
                return False
        return True

    async def _connect(self, one: Server, spec: EvolutionServerSpec) -> None:
        if not self._secrets_are_due(one):
            return
        try:
            endpoint = await self._endpoint(one, spec)
        except _SecretProblem as problem:
            if one.client is None or one.metadata.deletion_timestamp is None:
                one.secret_problem = (problem.reason, problem.text)
            return
        except ports.KubernetesError:
            if one.client is None:
                # A server that was taken over in a bad moment must not go unobserved until its Secrets are due again.
                self._secrets_due[one.key] = self._context.clock.monotonic() + _SOON
            raise
        one.secret_problem = None
        if not self._context.claims.holds(one.key):
            return
        if endpoint != one.endpoint:
            await self._use(one, endpoint)
        self._watch(one)

    def _secrets_are_due(self, one: Server) -> bool:
        now, generation = self._context.clock.monotonic(), one.metadata.generation
        unknown = one.observed.unknown
        rejected = unknown is not None and unknown.is_refusal and one.observed.key_accepted is not None
        due = now >= self._secrets_due.get(one.key, 0.0) or self._secrets_generation.get(one.key) != generation
        if not due and not rejected and one.secret_problem is None:
            return False
        if rejected:
            # Once on each 401; the next one comes with the next read.
            one.observed.key_accepted = None
        self._secrets_due[one.key] = now + self._context.limits.key_refresh
        self._secrets_generation[one.key] = generation
        return True

    async def _endpoint(self, one: Server, spec: EvolutionServerSpec) -> ports.Endpoint:
        key = await self._secret(one, spec.api_key_secret_ref.name, spec.api_key_secret_ref.key, "spec.apiKeySecretRef")
        bundle, auth = spec.ca_bundle_secret_ref, spec.metrics_auth_secret_ref
        return ports.Endpoint(
            url=spec.url,
            api_key=key.strip(),
            ca_bundle=await self._secret(one, bundle.name, bundle.key, "spec.caBundleSecretRef") if bundle else None,
            metrics_auth=(
                await self._secret(one, auth.name, "username", "spec.metricsAuthSecretRef"),
                await self._secret(one, auth.name, "password", "spec.metricsAuthSecretRef"),
            )
            if auth
            else None,
            per_second=spec.requests.per_second,
            max_in_flight=spec.requests.max_in_flight,
            timeout_seconds=one.health.check_timeout_seconds,
            check_period_seconds=one.health.check_period_seconds,
        )

    async def _secret(self, one: Server, name: str, key: str, field: str) -> str:
        try:
            secret = await self._context.kubernetes.read_secret(ports.Key(one.key.namespace, name))
        except ports.NotFound:
            text = f"{field}: there is no Secret {name} in the namespace {one.key.namespace}. Create it."
            raise _SecretProblem(Reason.SECRET_NOT_FOUND, text) from None
        value = secret.text(key)
        if not value:
            if secret.values.get(key):
                text = (
                    f"{field}: the key {key} of the Secret {name} is not text in UTF-8. Write it anew, without a file."
                )
            else:
                text = f"{field}: the Secret {name} has no key {key}. Add it, or name another one in {field}.key."
            raise _SecretProblem(Reason.SECRET_KEY_MISSING, text)
        return value

    async def _use(self, one: Server, endpoint: ports.Endpoint) -> None:
        before = one.client
        if one.endpoint is not None and one.endpoint.url != endpoint.url:
            server_restart.forget(one)
            one.observed = Observed()  # nor is its version
        one.client, one.endpoint = self._make_client(one.key, endpoint), endpoint
        if before is not None:
            await before.close()
        self._context.hurry(one)

    def _make_client(self, server: ports.Key, endpoint: ports.Endpoint) -> ports.Evolution:
        def holds() -> bool:
            return self._context.claims.holds(server)

        return Fenced(self._context.make_client(endpoint, may_change=holds), holds=holds)

    def begin_anew(self, one: Server) -> None:
        """As after a start of the operator: nothing was seen yet, and the Secrets are read again."""
        one.observed, one.warm_up = Observed(), WarmUp()
        one.begin_anew()
        self._secrets_due.pop(one.key, None)

    def _watch(self, one: Server) -> None:
        if one.key not in self._tasks and one.client is not None:
            watching = Observer(self._context, one)
            self._context.observers[one.key] = watching
            self._tasks[one.key] = watching, self._context.tasks.spawn("observe-server", watching.run())

    async def forget(self, one: Server) -> None:
        """The resource is gone, or another replica's: stop observing.

        Raises:
            asyncio.CancelledError: the operator itself is stopping.
        """
        client = self._let_go(one)
        if client is not None:
            await client.close()

    def drop(self, one: Server) -> None:
        """It is another replica's: stop observing at once, whatever a look at it is waiting for."""
        client = self._let_go(one)
        if client is not None:
            self._context.tasks.spawn("close-client", client.close())

    def _let_go(self, one: Server) -> ports.Evolution | None:
        """End the observer, and return the client that is to be closed."""
        self._context.observers.pop(one.key, None)
        if one.key in self._tasks:
            watching, task = self._tasks.pop(one.key)
            # A task that is cancelled before its first turn never ends what it was to do.
            watching.end()
            task.cancel()
        client, one.client, one.endpoint = one.client, None, None
        self._secrets_due.pop(one.key, None)
        self._secrets_generation.pop(one.key, None)
        self._context.telemetry.instances(one.key, {}, {})
        self._context.telemetry.guarded(one.key, None)
        self._context.telemetry.circuit(one.key, is_open=None)
        return client

    def _tell_instances(self, one: Server) -> None:
        """When what is known of the server begins or ends to be worth something, all its instances are looked at.

        So they are when another reason takes the place of the one for which nothing is known, which they tell as well.

        While reading has only just begun, at a start or after a restart of the server, they say nothing new: so they
        are looked at once more when that ends, too.
        """
        now, warm = self._context.clock.now(), one.warm
        fresh = one.fresh(now)
        known = None if not fresh and one.just_begun(now) else fresh
        why = one.why_unknown() if known is False else None
        begins_or_ends = known is not one.was_fresh
        if begins_or_ends or why is not one.was_unknown or (warm and not one.was_warm):
            one.was_fresh, one.was_unknown = known, why
            # What is no longer known is said at once; what can be known again comes spread out.
            self._context.look_at_all(one, spread=fresh or not begins_or_ends)
        one.was_warm = warm

    def _announce(self, one: Server) -> None:
        """An outage is one Event on the server, not a thousand on its instances."""
        down = not one.fresh(self._context.clock.now()) and not one.just_begun(self._context.clock.now())
        if down is one.announced_down:
            return
        one.announced_down = down
        if down:
            text = "The server cannot be read; its instances are Unknown, and nothing is done to them."
            self._announcer.announce_server(one, one.why_unknown(), text=text)
        else:
            self._announcer.announce_server(one, Reason.AVAILABLE, text="The server can be read again.")

    def _until_stale(self, one: Server) -> float | None:
        read_at = one.observed.memory_at or one.observed.began_at
        if read_at is None:
            return None
        return max((read_at + one.memory_limit - self._context.clock.now()).total_seconds(), 0) + 1.0

    def _until_secrets(self, one: Server) -> float | None:
        due = self._secrets_due.get(one.key)
        if one.secret_problem is not None:
            return _SOON
        return max(due - self._context.clock.monotonic(), _SOON) if due is not None else None


class _SecretProblem(Exception):  # noqa: N818 - a fact about a Secret, which becomes a condition
    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason, self.text = reason, text


def _url_of(one: Server) -> str | None:
    return one.resource.spec.url.rstrip("/").lower() if one.resource is not None else None


def _by_word(counts: Mapping[HealthState, int] | Mapping[Reason, int]) -> Mapping[str, int]:
    return {str(word): count for word, count in counts.items()}


def _may_be_deleted(one: instance.WhatsAppInstance | None) -> bool:
    """Whether the instance is deleted on the server when its resource goes; so it may be while its spec is not read."""
    if one is None:
        return True
    default = DeletionPolicy.RETAIN if one.status.adopted else DeletionPolicy.DELETE
    return (one.spec.deletion_policy or default) is DeletionPolicy.DELETE
