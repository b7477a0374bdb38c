"""How fast things go in a run, and how long it waits for its end: hasty in most, as by default in the others.

What costs is simulated time, in which servers are read and Leases renewed. So most runs have spans that are shorter
than the defaults, as flags and specs allow, and all that has to last for a while lasts a few seconds: the same happens
in a fifth of the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

Seconds = tuple[float, ...]
"""To draw from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Spans in seconds; what is a tuple is drawn from."""

    # Who is there
    servers: tuple[int, ...]
    instances: tuple[int, int]
    replicas: tuple[int, ...]
    # What specs say
    last_resort: tuple[int, ...]
    session_loss: tuple[int, ...]
    min_healthy: tuple[int, ...]
    probe: tuple[int, ...]
    max_wait: tuple[int, ...]
    soft_window: int
    window: int
    cooldown: int
    # What flags say
    options: Mapping[str, float] = field(default_factory=dict)
    health: Mapping[str, int] = field(default_factory=dict)
    recovery: Mapping[str, int] = field(default_factory=dict)
    # What happens
    lengths: Seconds
    number: tuple[int, int]
    felt: tuple[float, float]
    """A deed that follows another one does so within this time."""
    lingers: float
    """From the end of what happens to the end of all faults."""
    # How it ends
    bound: float
    """After the faults have stopped, every instance is Ready or says why within this time; waits and budgets
    included."""
    patient: bool = True
    """It is judged by whether that is so; else only by what happens until then."""
    settled: float
    """So long every instance has to be Ready or to say why."""
    quiet: float
    """What recurs does so within this time: Secrets that are read again, DELETE that is sent again, other probes."""
    quiet_bound: float
    """All is quiet within this time, what is going on when everything has settled included."""
    restless: float
    """Where something goes on by right, only the configuration is asserted in the end: for a look at it there is
    time."""


USUAL = Pace(
    servers=(1, 1, 2),
    instances=(2, 5),
    replicas=(1, 2),
    last_resort=(600, 900, 1800),
    session_loss=(60, 300),
    min_healthy=(60, 300),
    probe=(30, 120),
    max_wait=(60, 300),
    soft_window=300,
    window=600,
    cooldown=60,
    lengths=(60.0, 120.0, 240.0),
    number=(4, 16),
    felt=(5.0, 90.0),
    lingers=20.0,
    bound=3 * 3600.0,
    settled=40.0,
    quiet=75.0,
    quiet_bound=3600.0,
    restless=20.0,
)

TRUNK = Pace(
    servers=(1, 1, 1, 2),
    instances=(3, 5),
    replicas=(1, 1, 2),
    last_resort=(60, 90, 180),
    session_loss=(20, 40),
    min_healthy=(20, 60),
    probe=(15, 30),
    max_wait=(15, 40),
    soft_window=60,
    window=120,
    cooldown=20,
    options={
        "stable_close_seconds": 12,
        "stable_close_samples": 60,
        "flapping_seconds": 100,
        "warm_up_growth_seconds": 40,
        "delete_retry_seconds": 20,
        "recreate_wait_seconds": 60,
        "recreate_wait_max_seconds": 120,
        "status_period_seconds": 10,
        "key_refresh_seconds": 30,
        "sweep_period_seconds": 60,
        "absence_seconds": 15,
        "reachable_seconds": 75,
        "server_restart_seconds": 120,
    },
    health={"databasePeriodSeconds": 15, "stuckTimeoutSeconds": 15},
    recovery={"stepTimeoutSeconds": 15},
    lengths=(160.0,),
    number=(14, 24),
    felt=(1.0, 30.0),
    lingers=5.0,
    bound=3 * 3600.0,
    settled=15.0,
    quiet=20.0,
    quiet_bound=300.0,
    restless=5.0,
)

AILING = replace(
    TRUNK,
    options={**TRUNK.options, "flapping_seconds": 30},
    last_resort=(30, 60, 120),
    session_loss=(10, 20),
)
"""A session is given up after seconds, so that a Relogin or a Recreate begins while its cause is still there."""
BRANCH = replace(TRUNK, lengths=(5.0, 10.0, 20.0), number=(3, 7), felt=(1.0, 10.0), bound=90.0, patient=False)
TWIG = replace(BRANCH, bound=0.0)
"""It is over when the faults stop."""
