"""How long evidence must last before it means something, in seconds.

Every span is set by an operator flag and accepts 1, so that tests need not wait; the defaults suit real servers.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans of evidence, in seconds unless said otherwise."""

    absence: float = 30
    """An instance is absent when it was not found three times over at least this long."""
    stable: float = 30
    """A sample of stability lasts this long."""
    stable_samples: int = 300
    """Reads in a sample of stability."""
    reachable: float = 120
    """A pairing is given up when an instance has stayed bad for this long after WhatsApp could be reached again: where
    its way was away, Baileys' reconnects are backed off, and it tries again within a minute or two."""
    flapping: float = 600
    """Close and connecting in turn for this long is more than a bad network."""
    probe_again: float = 5
    """A probe that met a dead socket is taken once more after this long: it may have met the gap of a reconnect."""
    qr_wait: float = 30
    """A QR code is issued within this long after the socket was opened."""
    frozen: float = 120
    """`updatedAt` moves at each new QR code, 45 s apart; not moving for this long, none is issued. So long, too, those
    that get none wait for each other."""
    warm_up_growth: float = 300
    """A starting server has loaded what it will when memory has not grown for this long."""
    orphan_release: float = 600
    """A deletion in a terminating namespace is released when its server is gone, or its spec invalid, for this long."""
    delete_retry: float = 60
    """DELETE is sent again after this long, doubling."""
    recreate_wait: float = 600
    """Before a second Recreate in an incident; doubles up to `recreate_wait_max`."""
    recreate_wait_max: float = 3600
    qr_life: float = 45
    """How long WhatsApp accepts a QR code (Evolution API 2.3.7, whatsapp.baileys.service.ts:640)."""
