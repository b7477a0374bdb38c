"""Every field of both resources is walked through its values, alone and in pairs: see `walk`.

After each change the API server has refused it, and named the field, or what is declared is reached on the server, or a
condition says why it is not. Then nothing is written and nothing called that changes anything, and no look has failed.
"""

import base64
import itertools
from collections.abc import Callable, Iterator, Sequence

import httpx
import pytest
import yaml

from e2e import kube, stage
from e2e.walk import api, changes, schema, walking

PLENTY = {"perSecond": 1000, "maxInFlight": 64}
AT_ONCE = {walking.INSTANCES: 300, walking.SERVERS: 100}
"""An instance costs a few calls, a server is read all the time."""
FLAGS = (
    "--status-period-seconds=1",
    "--sweep-period-seconds=3",
    "--workers=32",
    "--lease-duration-seconds=60",
    "--renew-deadline-seconds=40",
)
"""A walk is no matter of leadership: no Lease may lapse because the machine is busy."""
SLOW = {"checkPeriodSeconds": 5, "databasePeriodSeconds": 5, "checkTimeoutSeconds": 30}
"""Nor one of time: what is read late, because the machine is busy, is no outage."""

Making = tuple[changes.Spec, tuple[changes.Change, ...], dict[str, bool]]


@pytest.fixture(params=[walking.INSTANCES, walking.SERVERS])
def walk(request: pytest.FixtureRequest, staged: stage.Stage) -> Iterator[walking.Walk]:
    """A walk of one kind of resource, with the Secrets that its references name."""
    staged.restart_operator(*FLAGS)
    patience = yaml.safe_dump({"spec": {"requests": PLENTY, "health": SLOW}})
    staged.kubectl("patch", "evs", "main", "--type=merge", "-p", patience)
    staged.kubectl.apply(yaml.safe_dump(secret(staged.kubectl)))
    headers = {"apikey": stage.API_KEY}
    with (
        api.opened(staged.kubectl) as kubernetes,
        httpx.Client(base_url=staged.simulator.url, headers=headers, trust_env=False, timeout=60) as evolution,
    ):
        yield walking.Walk(request.param, staged, kubernetes, evolution)


def secret(kubectl: kube.Kubectl) -> object:
    """One for every reference."""
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    data = {"token": "WALKED", "apikey": stage.API_KEY, "ca.crt": authority, "username": "me", "password": "hush"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "walked"}, "stringData": data}


def base_of(walk: walking.Walk, change: changes.Change) -> changes.Spec:
    """The least spec in which a change may have a meaning."""
    if walk.plural == walking.SERVERS:
        return {"url": walk.simulator.url, "apiKeySecretRef": {"name": "main-key"}, "health": SLOW}
    spec: changes.Spec = {"serverRef": {"name": stage.SERVER}}
    if change.field.steps[0] == "number":
        return spec | {"integration": "EVOLUTION"}
    if change.field.steps[0] == "businessId":
        business = {"integration": "WHATSAPP-BUSINESS", "number": "123456", "tokenSecretRef": {"name": "walked"}}
        return spec | business
    return spec


def codes(change: changes.Change) -> dict[str, bool]:
    return {"shows_codes": change.field.steps[0] == "pairing"}


def taken(walk: walking.Walk, *, creates: bool) -> Iterator[tuple[changes.Change, changes.Verdict]]:
    """Every single change, with what has to become of it."""
    for change in changes.singles(walk.whole):
        base = base_of(walk, change)
        spec = change.applied_to(base, walk.whole)
        yield change, changes.verdict(walk.whole, spec, before=None if creates else base)


def report(walk: walking.Walk, record_property: Callable[[str, object], None]) -> None:
    found = walk.tally
    record_property("fields", sum(1 for _ in schema.fields(walk.whole)))
    for name in ("changes", "refused", "reached", "explained"):
        record_property(name, found.counts[name])
    record_property("violations", len(found.violations))
    assert not found.violations, "\n".join(found.violations)


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_every_value_of_every_field_is_refused_reached_or_explained(
    walk: walking.Walk, record_property: Callable[[str, object], None]
) -> None:
    singles = list(taken(walk, creates=False))
    made: list[Making] = [
        (base_of(walk, change), (change,), codes(change))
        for change, verdict in singles
        if verdict is not changes.Verdict.REFUSED
    ]
    made += [
        (base_of(walk, change), (change,), {"created_with_it": True})
        for change, verdict in taken(walk, creates=True)
        if verdict is changes.Verdict.ACCEPTED and change.field.steps[0] in schema.immutable(walk.whole)
    ]
    refused = [change for change, verdict in singles if verdict is changes.Verdict.REFUSED]

    rounds = walking.in_rounds(walking.named(made), at_once=AT_ONCE[walk.plural])
    walk.run_in_rounds(rounds, refused=[(base_of(walk, change), change) for change in refused])

    report(walk, record_property)


@pytest.mark.campaign
@pytest.mark.timeout(5400)
def test_every_value_of_every_field_is_right_from_the_creation_and_can_be_taken_back(
    walk: walking.Walk, record_property: Callable[[str, object], None]
) -> None:
    made: list[Making] = []
    for change, verdict in taken(walk, creates=True):
        if verdict is changes.Verdict.ACCEPTED:
            back = changes.Change(change.field, changes.of(base_of(walk, change), change.field.steps))
            made.append((base_of(walk, change), (change, back), {"created_with_it": True, **codes(change)}))
    for cases in batches(made, at_once=AT_ONCE[walk.plural]):
        walk.run(cases)
    report(walk, record_property)


@pytest.mark.campaign
@pytest.mark.timeout(5400)
def test_every_pair_of_changes_is_reached_or_explained(
    walk: walking.Walk, record_property: Callable[[str, object], None]
) -> None:
    """A change of one field, and at once one of another; and one that is taken back at once."""
    made = [*pairs(walk), *forth_and_back(walk)]
    for shows_codes in (False, True):
        alike = [one for one in made if one[2]["shows_codes"] is shows_codes]
        if alike:
            cases = walking.named(alike, first=10_000 * shows_codes)
            walk.run_in_rounds(walking.in_rounds(cases, at_once=AT_ONCE[walk.plural]))
    report(walk, record_property)


def mutable(walk: walking.Walk) -> dict[str, list[changes.Change]]:
    """The changes that are accepted, by field."""
    found: dict[str, list[changes.Change]] = {}
    for change, verdict in taken(walk, creates=False):
        if verdict is changes.Verdict.ACCEPTED and change.field.steps[0] not in ("number", "businessId"):
            found.setdefault(change.field.path, []).append(change)
    return found


def pairs(walk: walking.Walk) -> Iterator[Making]:
    """Each two fields, in one order or the other, with values that go round."""
    for number, (one, other) in enumerate(itertools.combinations(mutable(walk).values(), 2)):
        both = (one[number % len(one)], other[number % len(other)])
        ordered = both if number % 2 else both[::-1]
        if _fit(walk, ordered):
            yield base_of(walk, ordered[0]), ordered, {"shows_codes": any(codes(each)["shows_codes"] for each in both)}


def _fit(walk: walking.Walk, two: Sequence[changes.Change]) -> bool:
    spec = base_of(walk, two[0])
    for change in two:
        spec = change.applied_to(spec, walk.whole)
    return changes.verdict(walk.whole, spec) is changes.Verdict.ACCEPTED


def forth_and_back(walk: walking.Walk) -> Iterator[Making]:
    """Each value, and at once what was there before."""
    for each in mutable(walk).values():
        for change in each:
            back = changes.Change(change.field, changes.of(base_of(walk, change), change.field.steps))
            yield base_of(walk, change), (change, back), codes(change)


def batches(made: Sequence[Making], *, at_once: int) -> Iterator[list[walking.Case]]:
    for begin in range(0, len(made), at_once):
        yield walking.named(made[begin : begin + at_once], first=begin)
