"""The operator dies right before and right after each of its calls, in each scenario, and is started again.

Whatever it left half done, the end is that of a run in which nobody died, and the simulator's journal has no call that
must not be there.
"""

import contextlib
import re
from collections.abc import Callable, Iterator

import pytest

from e2e import accounts, crashing, kube, picture, relayed, scenarios, stage

COMES_WITHIN = 120.0
"""A Relogin waits for a voucher, and the bystander is asked for one once a minute, whichever instance it is for."""
END_SECONDS = 150.0
ALIKE_WITHIN = 60.0
"""A QR code whose life ends before it is offered anew is followed by the next."""
REST_SECONDS = 2.0
PATIENT = ("--lease-duration-seconds=10", "--renew-deadline-seconds=8")
"""For a campaign, which takes all of a machine: no Lease may lapse because a renewal was late."""

Played = tuple[stage.Stage, crashing.Counter]


class DidNotComeError(Exception):
    """A call that comes more or less often did not come this time; nobody died, and all ended as it should."""


@pytest.fixture
def played(
    request: pytest.FixtureRequest, title: str, relayed_stage: Callable[..., relayed.Relayed]
) -> Iterator[Played]:
    """A stage on which every call of the operator is counted, with a paired bystander."""
    counter, scenario = crashing.Counter(), scenarios.SCENARIOS[title]
    patient = PATIENT if request.node.get_closest_marker("campaign") else ()
    opened = relayed_stage(counter, *patient, *scenario.flags)
    opened.place.server_url = opened.evolution.url
    with scenarios.set_the_stage(opened.place, scenario):
        yield opened.place, counter


@pytest.mark.timeout(400)
@pytest.mark.parametrize("title", scenarios.SCENARIOS)
def test_death_after_a_call_that_acts_changes_nothing_of_the_end(played: Played, title: str) -> None:
    """Of a creation every call, of most others those that change something on the server, and what goes ahead."""
    wanted, calls = undisturbed(played, title)
    found = crashing.points(calls, crashing.Moment.AFTER)
    chosen = [one for one in found if re.match(scenarios.SCENARIOS[title].dies_at, one.call)]
    assert chosen
    for number, point in enumerate(chosen):
        died_at(played, title, point, name=f"{title}-{number:03}", wanted=wanted)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("moment", crashing.Moment, ids=lambda moment: moment.value)
@pytest.mark.parametrize("title", scenarios.SCENARIOS)
def test_death_at_any_call_changes_nothing_of_the_end(
    played: Played, title: str, moment: crashing.Moment, record_property: Callable[[str, object], None]
) -> None:
    wanted, calls = undisturbed(played, title)
    found, failures, missed = crashing.points(calls, moment), list[str](), 0
    with played[0].operator.log_file.with_name("deaths.log").open("w", buffering=1) as told:  # for a look
        for number, point in enumerate(found):
            try:
                died_at(played, title, point, name=f"{title}-{number:03}", wanted=wanted)
                told.write(f"{number + 1} of {len(found)}: {point}\n")
            except DidNotComeError:
                missed += 1
                told.write(f"{number + 1} of {len(found)}: did not come: {point}\n")
                live_on(*played)
            except AssertionError as error:
                failures.append(f"{point}: {error}")
                told.write(f"{number + 1} of {len(found)}: FAILED {failures[-1]}\n")
                live_on(*played)
    record_property("calls", len(calls))
    record_property("perturbations", len(found))
    record_property("missed", missed)
    record_property("failures", len(failures))
    assert not failures, "\n\n".join(failures)


def live_on(staged: stage.Stage, counter: crashing.Counter) -> None:
    """Where a failure left it dead, or about to die of a call that came late: the next death has a start of its own."""
    counter.begin("nobody")
    if staged.operator.process is None or staged.operator.process.poll() is not None:
        staged.operator.start()


def undisturbed(played: Played, title: str) -> tuple[picture.Object, list[tuple[str, int]]]:
    """How a scenario ends, and the calls that it takes, where nobody dies."""
    (staged, counter), scenario, name = played, scenarios.SCENARIOS[title], f"{title}-undisturbed"
    scenario.prepare(staged, name)
    counter.begin(name)
    scenario.begin(staged, name)
    scenarios.wait_for_the_end(staged, scenario, name, timeout=END_SECONDS)
    staged.quiet_for(REST_SECONDS)
    calls = list(counter.calls)
    assert scenarios.forbidden(staged, scenario, name) == []
    return picture.of(staged, name), calls


def died_at(played: Played, title: str, point: crashing.Point, *, name: str, wanted: picture.Object) -> None:
    """Play it once more with a death at one point; it ends as it would have, and no call was made that must not be."""
    (staged, counter), scenario = played, scenarios.SCENARIOS[title]
    with accounts.of_failures(staged, counter, name):
        scenario.prepare(staged, name)
        counter.begin(name, (point, staged.operator.kill))
        scenario.begin(staged, name)
        came = comes(played, point, name, scenario.ended)
        if came:
            staged.operator.start()
        scenarios.wait_for_the_end(staged, scenario, name, timeout=END_SECONDS)
        with contextlib.suppress(AssertionError):  # what differs is told below
            kube.wait_until(lambda: not differences(picture.of(staged, name), wanted), timeout=ALIKE_WITHIN)
        changed, forbidden = differences(picture.of(staged, name), wanted), scenarios.forbidden(staged, scenario, name)
        assert (changed, forbidden) == ({}, []), f"differs (found, wanted): {changed}; forbidden: {forbidden}"
    if not came:
        raise DidNotComeError


def comes(played: Played, point: crashing.Point, name: str, ended: Callable[[stage.Stage, str], bool]) -> bool:
    """Wait for the death; False where the call may as well not come, and does not before the end of the scenario.

    Raises AssertionError where it has to come, and does not.
    """
    staged, counter = played
    if point.may_not_come:
        kube.wait_until(lambda: counter.struck.is_set() or ended(staged, name), timeout=END_SECONDS, message="no end")
        return counter.struck.wait(REST_SECONDS)
    return kube.wait_until(counter.struck.is_set, timeout=COMES_WITHIN, message="it never came")


def differences(found: picture.Object, wanted: picture.Object) -> picture.Object:
    """The parts in which two pictures differ."""
    return {part: (found[part], wanted[part]) for part in wanted if found[part] != wanted[part]}
