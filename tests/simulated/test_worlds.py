"""What seeds draw beyond the first draw: worlds in which more breaks, and streams that go on where they were."""

from __future__ import annotations

from simulation import campaign, schedule, world
from simulation import setup as setups
from simulation.pace import TRUNK

from whatsapp_operator.resources.steps import Step

AILING, USUAL = 672, 64
"""Trunks of two worlds."""


def test_an_ailing_world_begins_each_step_that_heals_what_ails_it() -> None:
    total = campaign.Total()
    for one in campaign.play_all(range(AILING, AILING + 31), processes=1):
        total.add(one)

    begun = {step for (step, what), _ in total.coverage.runs.items() if what == "Begun"}
    assert {Step.RELOGIN, Step.RECREATE, Step.RECONNECT} <= begun


def test_branches_of_an_ailing_world_leave_when_a_step_is_due() -> None:
    healed = {one.state: one.healed_after for one in schedule.AILMENTS}
    ills = [one for one in world.of(AILING).schedule.entries if one.args.get("state") in healed]

    for seed in range(AILING + 1, AILING + 31):
        leaves = world.of(seed).schedule.branches_at
        spans = [(one.at + healed[one.args["state"]][0], one.at + healed[one.args["state"]][1]) for one in ills]
        assert any(first <= leaves <= last for first, last in spans)


def test_a_world_that_does_not_ail_is_what_its_first_draw_made_it() -> None:
    setup = setups.draw(USUAL, TRUNK)

    assert world.of(USUAL).setup == setup
    assert world.of(USUAL).schedule == schedule.draw(USUAL, setup, TRUNK)


def test_half_of_the_streams_that_break_cannot_go_on_where_they_were() -> None:
    deeds = [deed for seed in range(300) for deed in schedule.draw(seed, setups.draw(seed)).entries]

    forgets = [one.args["forgets"] for one in deeds if one.what == "watch_break"]
    assert {True, False} == set(forgets)
    assert 0.3 < sum(forgets) / len(forgets) < 0.7
