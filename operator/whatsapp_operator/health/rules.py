"""The health rules: small functions, tried in order, the first that matches wins.

A rule looks at what was seen and says what it amounts to, or None when it does not apply. Its name is the sentence
that it stands for. Those of plugins are asked where ours find nothing wrong, so that none of them hides what is.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import datetime, timedelta

from whatsapp_operator.evolution.evidence import RESTRICTED_CODES, ConnectionState
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import HEALTHY, Seen, Verdict, seconds
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState

Rule = Callable[[Seen], Verdict | None]

_OPEN, _CONNECTING, _CLOSE = ConnectionState.OPEN, ConnectionState.CONNECTING, ConnectionState.CLOSE

ABSENT_TIMES = 3
_DATABASE_READS = 2
_FLAPPING_CHANGES = 3
_SAMPLE_SPANS = 2
_RECENT = timedelta(seconds=120)


def nothing_could_be_read(seen: Seen) -> Verdict | None:
    """An outage says nothing about any instance."""
    if not seen.neighbours.fresh:
        return Verdict(HealthState.UNKNOWN, seen.neighbours.why_unknown)
    return None


def our_own_delete_is_pending(seen: Seen) -> Verdict | None:
    """S10, S11: DELETE said SUCCESS; only both witnesses say that it is over."""
    return Verdict(HealthState.TERMINATING, Reason.TERMINATING) if seen.deleting else None


def is_absent(seen: Seen) -> Verdict | None:
    """Absence is confirmed: found by neither witness, three times over at least half a minute."""
    absence = seen.record.absence
    if absence is None or absence.times < ABSENT_TIMES:
        return None
    if absence.seen_at - absence.since < seconds(seen.spans.absence):
        return None
    return Verdict(HealthState.NOT_FOUND, Reason.NOT_FOUND)


def was_never_read(seen: Seen) -> Verdict | None:
    """The server was read, this instance was not yet."""
    if seen.record.memory is None and seen.record.absence is None:
        return Verdict(HealthState.UNKNOWN, Reason.NOT_OBSERVED)
    return None


def is_a_ghost(seen: Seen) -> Verdict | None:
    """S1: the database has it, the running server does not, and no longer because it is still loading."""
    if not _held_nowhere(seen) or seen.row is None or not seen.neighbours.warm:
        return None
    return Verdict(HealthState.CORRUPTED, Reason.GHOST)


def has_no_row(seen: Seen) -> Verdict | None:
    """S2: the running server holds it, two lists of the database in a row do not."""
    database = seen.record.database
    if seen.memory is None or database is None or database.row is not None:
        return None
    return Verdict(HealthState.CORRUPTED, Reason.ROW_MISSING) if database.reads >= _DATABASE_READS else None


def lost_its_stored_session(seen: Seen) -> Verdict | None:
    """S19: it works until the next restart of anything, and then needs a scan."""
    if not seen.baileys or not seen.states(_OPEN, _CLOSE) or not _has_owner(seen):
        return None
    database = seen.record.database
    if database is None or database.reads < _DATABASE_READS:
        return None
    return Verdict(HealthState.DEGRADED, Reason.SESSION_MISSING)


def has_a_dead_socket(seen: Seen) -> Verdict | None:
    """S3: two probes met a dead socket, and memory said open all the time; dead again after a step is worse."""
    if not seen.baileys or not seen.states(_OPEN, _OPEN):
        return None
    probe = seen.record.probe
    if probe.lasted(seconds(seen.spans.probe_again)):
        return Verdict(HealthState.CORRUPTED if probe.dead_before else HealthState.DEGRADED, Reason.DEAD_SOCKET)
    # It was dead; what a step or a gap has changed is not known before another probe has told.
    return Verdict(HealthState.DEGRADED, Reason.SETTLING) if probe.dead_before else None


def is_healthy(seen: Seen) -> Verdict | None:
    """Both witnesses say open, and a phone is linked where there is one."""
    if not seen.states(_OPEN, _OPEN) or (seen.baileys and not _has_owner(seen)):
        return None
    return Verdict(HealthState.DEGRADED, Reason.REPLACED) if _reopens_again_and_again(seen) else HEALTHY


def is_restricted_by_whatsapp(seen: Seen) -> Verdict | None:
    """The account itself is refused: nothing that is done here helps, and trying may harm."""
    if seen.baileys and seen.states(_CLOSE, _CLOSE) and seen.record.new_code in RESTRICTED_CODES:
        return Verdict(HealthState.DISCONNECTED, Reason.RESTRICTED)
    return None


def was_logged_out(seen: Seen) -> Verdict | None:
    """S13. Without an owner, 401 is only the end of a pairing code that nobody used."""
    if seen.baileys and seen.states(_CLOSE, _CLOSE) and seen.record.new_code == 401 and _has_owner(seen):
        return Verdict(HealthState.DISCONNECTED, Reason.LOGGED_OUT)
    return None


def lost_its_credentials(seen: Seen) -> Verdict | None:
    """S8: it shows a QR code though a phone was linked and nobody logged it out."""
    if not seen.baileys or not seen.states(_CONNECTING, _CONNECTING) or not _has_owner(seen):
        return None
    if seen.record.new_code is not None:
        return None
    if seen.pairing_wanted and seen.record.paired is False and _code_is_overdue(seen):
        # What is needed is a scan, and there is nothing to scan.
        return None
    return Verdict(HealthState.DISCONNECTED, Reason.CREDENTIALS_LOST)


def waits_for_scan(seen: Seen) -> Verdict | None:
    """A new QR code each 45 s: it works, and waits for a person, however long."""
    if not seen.baileys or not seen.states(_CONNECTING, _CONNECTING) or _code_is_overdue(seen):
        return None
    return Verdict(HealthState.DISCONNECTED, Reason.AWAITING_SCAN)


def offers_no_code(seen: Seen) -> Verdict | None:
    """A person wants to scan, and there is nothing to scan."""
    if not seen.baileys or seen.memory is not _CONNECTING or seen.record.paired is not False:
        return None
    if not seen.pairing_wanted or not _code_is_overdue(seen):
        return None
    return Verdict(HealthState.STUCK, Reason.NO_QR_CODE)


def is_replaced_again_and_again(seen: Seen) -> Verdict | None:
    """S15, S18: each time it opens, another holder of the session closes it."""
    if seen.baileys and _reopens_again_and_again(seen):
        return Verdict(HealthState.DEGRADED, Reason.REPLACED)
    return None


def has_unusable_credentials(seen: Seen) -> Verdict | None:
    """S7: it alone flaps, for long, while WhatsApp could be reached by another; or for so long that it must be so."""
    began, vouched_at = flaps_alone_since(seen), seen.neighbours.vouched_at
    if began is None:
        return None
    vouched = vouched_at is not None and vouched_at > began
    if not vouched and seen.now - (seen.record.turns_since or began) < seen.last_resort:
        return None
    return Verdict(HealthState.CORRUPTED, Reason.CREDENTIALS)


def is_flapping(seen: Seen) -> Verdict | None:
    """S6: close and connecting in turn; every call would only add another loop."""
    return Verdict(HealthState.DEGRADED, Reason.FLAPPING) if _flapping_since(seen) is not None else None


def is_stuck_connecting(seen: Seen) -> Verdict | None:
    """S4, S17: every read says connecting, and no QR code explains it."""
    if not seen.baileys or seen.memory is not _CONNECTING or seen.record.paired is False:
        return None
    if seen.database in (None, _CONNECTING) or not seen.row_is_newer or not seen.lasted(seen.stuck_timeout):
        return None
    return Verdict(HealthState.STUCK, Reason.CONNECTING) if seen.sampled(_CONNECTING) else None


def let_its_code_expire(seen: Seen) -> Verdict | None:
    """S9: nobody scanned any of thirty QR codes."""
    if seen.baileys and seen.states(_CLOSE, _CONNECTING) and not seen.record.paired:
        return Verdict(HealthState.DISCONNECTED, Reason.QR_EXPIRED)
    return None


def has_a_closed_socket(seen: Seen) -> Verdict | None:
    """S5: the close was lost between the two witnesses; one connect heals it."""
    if seen.baileys and seen.states(_CLOSE, _OPEN) and seen.row_is_newer and _stays_closed(seen):
        return Verdict(HealthState.DEGRADED, Reason.CLOSED_SOCKET)
    return None


def was_never_started(seen: Seen) -> Verdict | None:
    """Both witnesses say close, and there is no pairing that could have ended."""
    if seen.baileys and seen.states(_CLOSE, _CLOSE) and not seen.record.paired:
        return Verdict(HealthState.DISCONNECTED, Reason.NOT_STARTED)
    return None


def closed_for_no_known_reason(seen: Seen) -> Verdict | None:
    """Paired, and both witnesses say close: no code tells of an end, as after S19 and a restart of the server."""
    if not seen.baileys or not seen.states(_CLOSE, _CLOSE) or not seen.record.paired:
        return None
    if not seen.row_is_newer or not _stays_closed(seen):
        return None
    if seen.row is not None and seen.row.code in RESTRICTED_CODES:
        # Of a pairing before this one, or taken for that because a read of memory was late: in doubt it is refused.
        return Verdict(HealthState.DISCONNECTED, Reason.RESTRICTED)
    return Verdict(HealthState.DISCONNECTED, Reason.UNEXPLAINED_CLOSE)


def shows_no_code_that_anybody_wants(seen: Seen) -> Verdict | None:
    """Its socket has ended, or hangs, without a word; as long as nobody wants to scan, nothing is amiss."""
    if not seen.baileys or seen.memory is not _CONNECTING or seen.record.paired is not False or seen.pairing_wanted:
        return None
    return Verdict(HealthState.DISCONNECTED, Reason.NOT_STARTED) if _code_is_overdue(seen) else None


def has_a_closed_channel(seen: Seen) -> Verdict | None:
    """S14: a channel without a phone was logged out; only a restart of the server opens it again."""
    if not seen.baileys and seen.states(_CLOSE, _OPEN):
        return Verdict(HealthState.DEGRADED, Reason.CHANNEL_CLOSED)
    return None


def rests_amid_flapping(seen: Seen) -> Verdict | None:
    """Its close is not believed while most others of its server flap: it waits as they do, and says so."""
    if seen.baileys and seen.memory is _CLOSE and seen.sampled(_CLOSE) and seen.neighbours.mostly_flapping:
        return Verdict(HealthState.DEGRADED, Reason.FLAPPING)
    return None


class Symptom(enum.Enum):
    """What an instance shows that only means something beside how many others show it."""

    FLAPPING = "Flapping"
    WITHOUT_CODE = "WithoutCode"
    SHOWS_CODE = "ShowsCode"


def symptom(seen: Seen) -> Symptom | None:
    """The symptom by this instance's own evidence, so that counting them does not change them."""
    if _flapping_since(seen) is not None:
        return Symptom.FLAPPING
    if not seen.baileys or seen.memory is not _CONNECTING or seen.record.paired is not False or not seen.pairing_wanted:
        return None
    return Symptom.WITHOUT_CODE if _code_is_overdue(seen) else Symptom.SHOWS_CODE


def settles(seen: Seen) -> Verdict:  # noqa: ARG001 - a rule takes what was seen; this one matches whatever it is
    """Anything else is on its way to one of the above."""
    return Verdict(HealthState.DEGRADED, Reason.SETTLING)


RULES: tuple[Rule, ...] = (
    nothing_could_be_read,
    our_own_delete_is_pending,
    is_absent,
    was_never_read,
    is_a_ghost,
    has_no_row,
    lost_its_stored_session,
    has_a_dead_socket,
    is_healthy,
    is_restricted_by_whatsapp,
    was_logged_out,
    lost_its_credentials,
    waits_for_scan,
    offers_no_code,
    is_replaced_again_and_again,
    has_unusable_credentials,
    is_flapping,
    is_stuck_connecting,
    let_its_code_expire,
    has_a_closed_socket,
    was_never_started,
    closed_for_no_known_reason,
    shows_no_code_that_anybody_wants,
    has_a_closed_channel,
    rests_amid_flapping,
)


def assess(seen: Seen, *, plugged: Rule | None = None) -> Verdict:
    """What the evidence amounts to: the first rule that matches, else `settles`.

    `plugged`, the rule that stands for those of plugins, is asked where ours say that the instance is healthy, or say
    nothing, and both witnesses have it.
    """
    found = next((verdict for rule in RULES if (verdict := rule(seen)) is not None), None)
    if plugged is not None and found in (None, HEALTHY) and seen.memory is not None and seen.row is not None:
        found = plugged(seen) or found
    return found or settles(seen)


def flaps_alone_since(seen: Seen) -> datetime | None:
    """Since when a paired instance flaps and most others do not, if that is too long for a bad network."""
    began = _flapping_since(seen)
    if began is None or not seen.record.paired or seen.neighbours.mostly_flapping:
        return None
    return began if seen.now - began >= seconds(seen.spans.flapping) else None


def _stays_closed(seen: Seen) -> bool:
    """A sample saw nothing but close, which in an outage one of a thousand samples does of an instance that flaps."""
    return seen.sampled(_CLOSE) and not seen.neighbours.mostly_flapping


def _held_nowhere(seen: Seen) -> bool:
    return seen.record.memory is not None and seen.memory is None


def _has_owner(seen: Seen) -> bool:
    return seen.row is not None and seen.row.has_owner


def _code_is_overdue(seen: Seen) -> bool:
    return _never_issued(seen) or _frozen(seen)


def _never_issued(seen: Seen) -> bool:
    """No QR code since the socket was opened, though the database was read late enough to know of one."""
    memory, database = seen.record.memory, seen.record.database
    if memory is None or database is None or seen.database is _CONNECTING:
        return False
    wait = seconds(seen.spans.qr_wait)
    return seen.lasted(wait) and database.seen_at - memory.since >= wait


def _frozen(seen: Seen) -> bool:
    """The database says that a QR code was issued, and none was for as long as two of them live."""
    memory, database = seen.record.memory, seen.record.database
    if memory is None or database is None or seen.database is not _CONNECTING:
        return False
    frozen = seconds(seen.spans.frozen)
    return database.seen_at - max(database.moved_at, memory.since) >= frozen


def _reopens_again_and_again(seen: Seen) -> bool:
    openings = [at for at, state in seen.record.changes if state is _OPEN and seen.now - at <= _RECENT]
    return len(openings) >= records.REPLACED_OPENINGS or _reopened_in_a_sample(seen)


def _reopened_in_a_sample(seen: Seen) -> bool:
    """S18 is open for so short that single reads take it for flapping; a new sample comes before this is too old."""
    at, memory = seen.record.reopened_at, seen.record.memory
    if at is None or seen.now - at > _SAMPLE_SPANS * seconds(seen.spans.flapping):
        return False
    has_stayed = memory is not None and memory.state is _OPEN and seen.now - memory.since >= _RECENT
    return not has_stayed


def _flapping_since(seen: Seen) -> datetime | None:
    """Since when close and connecting took turns, if they still do and no QR code was issued meanwhile."""
    if not seen.baileys or seen.memory in (None, _OPEN) or _shows_codes(seen):
        return None
    return seen.record.turning_since if _turns_often(seen) or _sampled_turns(seen) else None


def _turns_often(seen: Seen) -> bool:
    """Single reads caught it in both states again and again, and lately."""
    changes, since = seen.record.changes, seen.record.turning_since
    turns = [at for at, _ in changes if since is not None and at >= since]
    return len(turns) > _FLAPPING_CHANGES and seen.now - turns[-1] <= _RECENT


def _sampled_turns(seen: Seen) -> bool:
    """A sample caught it in both states; another is taken before this one is too old."""
    sample = seen.record.sample
    if sample is None or not sample.turns:
        return False
    return seen.now - sample.taken_at <= _SAMPLE_SPANS * seconds(seen.spans.flapping)


def _shows_codes(seen: Seen) -> bool:
    """A socket that offers QR codes is renewed every few minutes: close and connecting in turn, and well."""
    return seen.memory is _CONNECTING and seen.database is _CONNECTING and not _frozen(seen)
