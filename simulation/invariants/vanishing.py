"""Whether so many instances are missing on a server that its database must be another one, by what the servers show."""

from __future__ import annotations

from simulation.kubernetes import kinds
from simulation.sight import Sight, remote_of
from simulation.stage import status_of
from whatsapp_operator.health import witnesses
from whatsapp_operator.resources.reasons import Reason


def is_said(sight: Sight, name: str) -> bool:
    """Whether an instance of a server says so."""
    told = (status_of(one) for one in sight.stage.api.all(kinds.INSTANCES) if remote_of(one)[0] == name)
    return any(one.get("reason") == Reason.INSTANCES_VANISHED for one in told)


def is_said_in_error(sight: Sight, name: str) -> bool:
    """Whether an instance says so, though those that are missing are gone because an operator has deleted them."""
    return is_said(sight, name) and not _is_so(sight, name)


def _is_so(sight: Sight, name: str) -> bool:
    known = {
        remote_of(one)[1]: status_of(one)["instanceID"]
        for one in sight.stage.api.all(kinds.INSTANCES)
        if remote_of(one)[0] == name and "instanceID" in status_of(one)
    }
    there = [one for one in known if sight.row((name, one)) is not None]
    unasked = [one for one, row_id in known.items() if one in there or row_id not in sight.asked_to_go]
    return witnesses.vanish_at_once(unasked, there, besides=len(known) - len(unasked))
