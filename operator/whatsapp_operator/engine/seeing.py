"""What a rule may look at, put together from what is desired and what was observed."""

from __future__ import annotations

from datetime import timedelta

from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.server import Server
from whatsapp_operator.health.assessment import Seen


def seen(context: Context, server: Server, draft: Draft) -> Seen:
    """All that a rule may look at, of one instance."""
    return Seen(
        now=draft.now,
        record=draft.subject.record,
        spans=context.spans,
        neighbours=server.neighbours(draft.subject, name=draft.instance.remote_name, now=draft.now),
        integration=str(draft.instance.spec.integration),
        stuck_timeout=timedelta(seconds=draft.policy.health.stuck_timeout_seconds),
        pairing_wanted=draft.pairing_wanted,
        deleting=draft.subject.deletion is not None,
        last_resort=timedelta(seconds=draft.policy.recovery.last_resort_delay_seconds),
    )
