"""A draft: what a pass over one instance is going to write, begun from what was written last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from whatsapp_operator.engine.presentation import View
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.recovery import incident, ledger
from whatsapp_operator.recovery.planner import NOTHING, Plan
from whatsapp_operator.resources import policy
from whatsapp_operator.resources.instance import DeletionPolicy, Integration, PairingMode, WhatsAppInstance
from whatsapp_operator.resources.overrides import ProbeMode
from whatsapp_operator.resources.pause import Pause, PauseInForce, in_force
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import (
    NO_RECOVERY,
    NOTHING_HANDLED,
    HealthState,
    LastHandled,
    PairingStatus,
    RecoveryStatus,
)

UNOBSERVED = Verdict(HealthState.UNKNOWN, Reason.NOT_OBSERVED)


@dataclass(slots=True)
class Draft:
    """What is to be shown of one instance after this pass."""

    subject: Subject
    instance: WhatsAppInstance
    now: datetime
    policy: policy.Policy
    recovery: RecoveryStatus
    handled: LastHandled
    instance_id: str | None
    adopted: bool | None
    configured_generation: int | None
    window_opened_at: datetime | None
    pairing: PairingStatus | None
    keepsake: str | None = None
    """The Secret with what a step took, while it is not put back."""
    keepsake_digest: str | None = None
    """Of what was stored in it."""
    deletion_asked_at: datetime | None = None
    """When DELETE was first sent because the resource goes, by whichever process."""
    pause: PauseInForce | None = None
    """The pause that is in force: of everything, of the server, or of the instance."""
    synced: Reason = Reason.SYNCED
    verdict: Verdict = UNOBSERVED
    since: datetime | None = None
    plan: Plan = NOTHING
    exhausted: bool = False
    code_offered: bool = False
    said: Mapping[Reason, str] = field(default_factory=dict)
    """What the reasons of plugins mean."""

    @property
    def paused(self) -> bool:
        """Whether nothing may be changed now."""
        return self.pause is not None

    @property
    def pairing_wanted(self) -> bool:
        """Whether a QR code is wanted now."""
        wanted = self.instance.spec.pairing
        if self.instance.spec.integration is not Integration.BAILEYS:
            return False
        if wanted.mode is not PairingMode.ON_DEMAND:
            return wanted.mode is PairingMode.ALWAYS
        opened = self.window_opened_at or self.instance.metadata.creation_timestamp
        return opened is not None and self.now - opened < timedelta(seconds=wanted.window_seconds)

    @property
    def deletion_policy(self) -> DeletionPolicy:
        """What becomes of the instance when its resource goes."""
        default = DeletionPolicy.RETAIN if self.adopted else DeletionPolicy.DELETE
        return self.instance.spec.deletion_policy or default

    def view(self) -> View:
        """All of it, as it is presented."""
        opinion = self.subject.opinion
        return View(
            instance=self.instance,
            verdict=self.verdict,
            since=self.since or self.now,
            confirmed=opinion is None or opinion.pending is None,
            record=self.subject.record,
            plan=self.plan,
            recovery=self.recovery,
            exhausted=self.exhausted,
            synced=self.synced,
            pause=self.pause,
            code_offered=self.code_offered,
            pairing=self.pairing,
            window_opened_at=self.window_opened_at,
            instance_id=self.instance_id,
            adopted=self.adopted,
            keepsake=self.keepsake,
            keepsake_digest=self.keepsake_digest,
            deletion_asked_at=self.deletion_asked_at,
            configured_generation=self.configured_generation,
            handled=None if self.handled == NOTHING_HANDLED else self.handled,
            probed=self.policy.health.probe.mode is ProbeMode.ENABLED,
            said=self.said,
        )


def begin(
    subject: Subject, instance: WhatsAppInstance, server: Server | None, *, pause: Pause | None, now: datetime
) -> Draft:
    """Begin from the status as it was last written; `pause` is the one of everything.

    A clock that was ahead when it was written must hold nothing up until then.
    """
    status = instance.status
    subject.born_at = ledger.not_after(subject.born_at, now)
    resource = server.resource if server is not None else None
    return Draft(
        subject=subject,
        instance=instance,
        now=now,
        policy=policy.resolve(instance.spec, resource.spec) if resource is not None else policy.Policy(),
        recovery=incident.without_future(status.recovery or NO_RECOVERY, now=now),
        handled=status.last_handled or NOTHING_HANDLED,
        instance_id=status.instance_id,
        adopted=status.adopted,
        configured_generation=status.configured_generation,
        window_opened_at=max(
            filter(None, (ledger.not_after(status.pairing_window_opened_at, now), subject.born_at)), default=None
        ),
        pairing=status.pairing,
        keepsake=status.keepsake,
        keepsake_digest=status.keepsake_digest,
        deletion_asked_at=ledger.not_after(status.deletion_asked_at, now),
        pause=in_force(
            everything=pause,
            server=server.paused if server is not None else None,
            instance=instance.spec.pause,
            now=now,
        ),
    )
