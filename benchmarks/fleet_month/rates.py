"""How often what goes wrong: the one table behind the month.

The failures are those that users of the Evolution API report in its tracker (github.com/EvolutionAPI/evolution-api);
the numbers of those reports stand beside each. **The rates are assumptions**: no report says how many numbers worked
meanwhile. They were chosen before the first run, and are the same for all policies.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Unit(enum.Enum):
    """What a rate counts."""

    NUMBER = "of each number, a month"
    PROXY = "of each proxy, a month"
    SERVER = "of each server, a month"
    CRASH = "share of the numbers, at each crash of their server"
    OUTAGE = "share of the numbers, at each outage of their database"


class Healer(enum.Enum):
    """The gentlest that brings a number back; all but the last keep its pairing."""

    WAIT = "nothing: it ends by itself"
    CONNECT = "one connect"
    RESTART = "a restart of the instance"
    SERVER = "a restart of the server"
    SCAN = "a scan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to fail. `deed` and `args` are those of `simulation.deeds`; `seconds` are the bounds of how long."""

    title: str
    deed: str
    rate: float
    unit: Unit
    healer: Healer
    issues: tuple[int, ...]
    args: Mapping[str, Any] = field(default_factory=dict)
    seconds: tuple[float, float] | None = None

    @property
    def needs_a_step(self) -> bool:
        """Whether it lasts until somebody does something, and needs no phone: what the time to heal is taken of."""
        return self.healer in (Healer.CONNECT, Healer.RESTART, Healer.SERVER)


def _broken(state: str) -> dict[str, Any]:
    return {"deed": "break_instance", "args": {"state": state}}


FAULTS: tuple[Fault, ...] = (
    Fault(
        title="connection drops, and is back within a second or five",
        deed="disconnect",
        args={"code": 428},
        rate=1.0,
        unit=Unit.NUMBER,
        healer=Healer.WAIT,
        issues=(1502, 1816, 2134),
    ),
    Fault(
        title="login takes one or two minutes",
        deed="reach",
        args={"how": "stalled"},
        seconds=(20.0, 100.0),
        rate=0.1,
        unit=Unit.NUMBER,
        healer=Healer.WAIT,
        issues=(1502, 1816, 2134),
    ),
    Fault(
        title="login hangs for ever (S17)",
        **_broken("S17"),
        rate=0.05,
        unit=Unit.NUMBER,
        healer=Healer.RESTART,
        issues=(1502, 1816, 2134),
    ),
    Fault(
        title="connecting for ever, on a socket that is gone (S4)",
        **_broken("S4"),
        rate=0.01,
        unit=Unit.NUMBER,
        healer=Healer.SERVER,
        issues=(1502, 1816, 2134),
    ),
    Fault(
        title="shows connected, dead (S3)",
        **_broken("S3"),
        rate=0.01,
        unit=Unit.NUMBER,
        healer=Healer.SERVER,
        issues=(1153, 1113, 1398, 1095, 1557, 2403, 1772, 2647),
    ),
    Fault(
        title="closed, and nothing opens it again (S5)",
        **_broken("S5"),
        rate=0.02,
        unit=Unit.NUMBER,
        healer=Healer.CONNECT,
        issues=(900, 1286, 1772, 2403),
    ),
    Fault(
        title="WhatsApp or the phone removes the device (S13)",
        **_broken("S13"),
        rate=0.02,
        unit=Unit.NUMBER,
        healer=Healer.SCAN,
        issues=(2198, 2215, 2224, 2244, 2285, 2355, 600),
    ),
    Fault(
        title="a proxy refuses: its numbers open and close, thousands of events (S6)",
        deed="reach",
        args={"how": "refused"},
        seconds=(120.0, 1800.0),
        rate=0.5,
        unit=Unit.PROXY,
        healer=Healer.WAIT,
        issues=(272, 550, 693, 765, 2134, 2182, 2430),
    ),
    Fault(
        title="a proxy hangs: its numbers stay in connecting",
        deed="reach",
        args={"how": "stalled"},
        seconds=(120.0, 1800.0),
        rate=0.5,
        unit=Unit.PROXY,
        healer=Healer.WAIT,
        issues=(900, 1286, 2198),
    ),
    Fault(
        title="WhatsApp cannot be reached from a server",
        deed="reach",
        args={"how": "stalled"},
        seconds=(300.0, 2400.0),
        rate=1.0,
        unit=Unit.SERVER,
        healer=Healer.WAIT,
        issues=(2437, 2006, 2430),
    ),
    Fault(
        title="a server runs out of memory, and starts again",
        deed="server_down",
        args={"listener_only": False},
        seconds=(15.0, 60.0),
        rate=2.0,
        unit=Unit.SERVER,
        healer=Healer.WAIT,
        issues=(1419,),
    ),
    Fault(
        title="after that, a number is in the database only (S1)",
        **_broken("S1"),
        rate=0.003,
        unit=Unit.CRASH,
        healer=Healer.SERVER,
        issues=(1912, 626, 461),
    ),
    Fault(
        title="after that, a number has lost its credentials (S8)",
        **_broken("S8"),
        rate=0.002,
        unit=Unit.CRASH,
        healer=Healer.SCAN,
        issues=(999, 388, 728, 2027),
    ),
    Fault(
        title="the database, or the way to it, is away",
        deed="database_down",
        args={"drops": False},
        seconds=(60.0, 360.0),
        rate=1.0,
        unit=Unit.SERVER,
        healer=Healer.WAIT,
        issues=(1856, 1869, 2074, 2175, 2271),
    ),
    Fault(
        title="meanwhile a connection ends, and nobody hears of it (S3)",
        deed="disconnect",
        args={"code": 428},
        rate=0.01,
        unit=Unit.OUTAGE,
        healer=Healer.SERVER,
        issues=(1153, 1113, 1398),
    ),
)
