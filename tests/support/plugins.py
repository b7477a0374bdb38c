"""Plugins as they lie on a disk once they are installed: a module, and its distribution's metadata beside it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

STATES = "whatsapp_operator.health_states"
STRATEGIES = "whatsapp_operator.recovery_strategies"

PREAMBLE = "from whatsapp_operator.plugins import HealthState, State, StepClass, Strategy\n"


def place(
    folder: Path,
    module: str,
    source: str,
    *,
    states: Mapping[str, str] | None = None,
    strategies: Mapping[str, str] | None = None,
) -> Path:
    """Put a plugin into a folder; `states` and `strategies` are entry points, each with what it stands for in it."""
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (folder / f"{module}.py").write_text(PREAMBLE + textwrap.dedent(source))
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    groups = {STATES: states or {}, STRATEGIES: strategies or {}}
    sections = (_section(group, module, points) for group, points in groups.items() if points)
    (metadata / "entry_points.txt").write_text("\n".join(sections))
    return folder


def _section(group: str, module: str, points: Mapping[str, str]) -> str:
    lines = (f"{name} = {module}:{variable}" for name, variable in points.items())
    return "\n".join([f"[{group}]", *lines, ""])
