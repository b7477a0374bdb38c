"""What can happen in a run besides the operator's own work: each a function of the stage, called by its name.

What a deed begins for a while it also ends; `heal` ends everything at once. A deed that does not fit (an instance that
is gone, a state that cannot be reached) does nothing.
"""

from __future__ import annotations

from simulation.deeds import people, processes, servers, ways
from simulation.deeds.doing import DEEDS, do
from simulation.deeds.healing import heal
from simulation.deeds.naming import every_fault

__all__ = ["DEEDS", "do", "every_fault", "heal", "people", "processes", "servers", "ways"]
