"""The catalogue: which resources there are, fed by the watch and by LIST sweeps.

A watch can miss what was deleted while it was broken, repeat what it told, or tell it late; so what it says is taken
only when it is newer than what is known, and every few minutes a LIST says what there really is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from whatsapp_operator.engine import ports
from whatsapp_operator.engine.context import Context, Item
from whatsapp_operator.engine.queue import Urgency
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Subject, begin_anew
from whatsapp_operator.resources import instance, server

Body = Mapping[str, Any]


class Catalogue:
    """Keeps the stores of subjects and servers equal to what the Kubernetes API has."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seats: dict[tuple[ports.Key, str], tuple[ports.Key, ...]] = {}
        self._seated: dict[ports.Key, tuple[ports.Key, str]] = {}
        self._gone_uids: set[str] = set()
        self._gone_uids_before: set[str] = set()

    def saw(self, kind: str, event: str | None, body: Body) -> bool:
        """Take one watch event, or one resource of a LIST (`event` None); returns whether it was news."""
        key = ports.key_of(body)
        if event == "DELETED":
            return self._lost(kind, key, uid=_uid(body))
        if _uid(body) in self._gone_uids or _uid(body) in self._gone_uids_before:
            return False
        known = self._known(kind, key)
        if known is not None and ports.version_of(body) <= ports.version_of(known.body):
            return False
        if known is not None and _uid(known.body) != _uid(body):
            # Deleted and created again under the same name, and the deletion was missed.
            self._lost(kind, key, uid=_uid(known.body))
            known = None
        self._take(kind, key, body, known)
        return True

    def _known(self, kind: str, key: ports.Key) -> Subject | Server | None:
        return self._context.subjects.get(key) if kind == instance.KIND else self._context.servers.get(key)

    def _take(self, kind: str, key: ports.Key, body: Body, known: Subject | Server | None) -> None:
        changed = known is None or _wish(known.body) != _wish(body)
        if kind == server.KIND:
            self._take_server(key, body, known if isinstance(known, Server) else None, changed=changed)
        else:
            self._take_subject(key, body, known if isinstance(known, Subject) else None, changed=changed)

    def _take_server(self, key: ports.Key, body: Body, known: Server | None, *, changed: bool) -> None:
        one = known or Server(key=key, body=body, known_since=self._context.clock.monotonic())
        one.update(body)
        if known is not None and changed:
            self._elect_all(one)
        if known is None:
            self._context.servers[key] = one
            self._elect_all(one)
            for subject in one.subjects.values():
                # What was seen was seen on the server that had this name before, if there was one.
                begin_anew(subject)
        if changed:
            self._context.look_at_server(one, urgency=Urgency.USER)
            self._context.look_at_all(one)

    def _take_subject(self, key: ports.Key, body: Body, known: Subject | None, *, changed: bool) -> None:
        one = known or Subject(key=key, body=body, known_since=self._context.clock.monotonic())
        self._context.subjects[key] = one
        steady = one.steady
        one.update(body)
        one.steady = steady and not changed
        if changed:
            self._seat(one)
            self._context.look_at(one, urgency=Urgency.USER)

    def _lost(self, kind: str, key: ports.Key, *, uid: str) -> bool:
        known = self._known(kind, key)
        if known is None or _uid(known.body) != uid:
            return False
        self._gone_uids.add(uid)
        if isinstance(known, Server):
            self._context.gone[key] = known
            self._context.servers.pop(key, None)
            self._context.look_at_all(known)
        else:
            self._unseat(key)
            self._context.subjects.pop(key, None)
        self._context.queue.add(Item(kind, key), Urgency.USER)
        return True

    def _seat(self, one: Subject) -> None:
        """Of several resources for one instance, the oldest acts of those whose namespace the server admits."""
        if one.instance is None:
            return
        place = (ports.Key(*one.instance.server_key), one.instance.remote_name)
        self._seats[place] = tuple({*self._seats.get(place, ()), one.key})
        self._seated[one.key] = one.seat = place
        self._elect(place)

    def _unseat(self, key: ports.Key) -> None:
        place = self._seated.pop(key, None)
        if place is not None:
            left = tuple(one for one in self._seats.pop(place) if one != key)
            if left:
                self._seats[place] = left
            self._elect(place)

    def _elect(self, place: tuple[ports.Key, str]) -> None:
        """The oldest of those that are admitted acts, also one that was admitted only now.

        Who acted until then gives way, as it does to an older one that a late watch event tells of: what counts is what
        there is, and not who was seen first, so that every replica, and this one after a restart, elects the same. The
        one that gives way is told so (`Duplicate`), and its instance keeps its token, by which it is not the other's:
        it is not touched (`AlreadyExists`) until one of the two resources is deleted. Whom to admit is the choice of
        the server's owner.
        """
        one, name = self._context.servers.get(place[0]), place[1]
        if one is None:
            return
        candidates = [found for key in self._seats.get(place, ()) if (found := self._context.subjects.get(key))]
        # Who is not admitted must not keep a name from those who are.
        admitted = [found for found in candidates if one.admits(found.key.namespace)]
        acting = min(admitted, key=_age, default=None)
        before = one.subjects.get(name)
        if acting is before:
            return
        if before is not None:
            one.leave(before)
            self._context.look_at(before)
        if acting is None:
            one.subjects.pop(name, None)
        else:
            acting.symptom = acting.standing = None  # whatever server counted it before, this one did not
            one.subjects[name] = acting
            self._context.look_at(acting)

    def _elect_all(self, one: Server) -> None:
        for place in self._seats:
            if place[0] == one.key:
                self._elect(place)

    def forget_the_gone(self) -> None:
        """Between two sweeps a late event of what is gone may still come; after that, none does."""
        self._gone_uids, self._gone_uids_before = set(), self._gone_uids

    def take(self, kind: str, page: Sequence[ports.Listed], listed: set[ports.Key]) -> int:
        """Take a page of a LIST, and note in `listed` what it has; returns how many the watch had missed."""
        listed.update(one.key for one in page)
        return sum(self.saw(kind, None, one.body()) for one in page if not self._is_known(kind, one))

    def _is_known(self, kind: str, one: ports.Listed) -> bool:
        known = self._known(kind, one.key)
        return known is not None and one.version <= ports.version_of(known.body)

    def lose_all_but(self, listed: set[ports.Key], kind: str, *, began: float) -> int:
        """Lose what a LIST that was asked for at `began` does not have; returns how many.

        What the watch told after that moment may be too young to be in the list.
        """
        store: Mapping[ports.Key, Subject | Server]
        store = self._context.subjects if kind == instance.KIND else self._context.servers
        gone = [key for key, one in store.items() if key not in listed and one.known_since < began]
        return sum(self._lost(kind, key, uid=_uid(store[key].body)) for key in gone)


def _uid(body: Body) -> str:
    return str(body.get("metadata", {}).get("uid", ""))


def _wish(body: Body) -> tuple[Any, ...]:
    """What a user, and not this operator's status, changes."""
    metadata = body.get("metadata", {})
    return metadata.get("generation"), metadata.get("deletionTimestamp"), metadata.get("annotations")


def _age(one: Subject) -> tuple[str, ports.Key]:
    return str(one.body.get("metadata", {}).get("creationTimestamp", "")), one.key
