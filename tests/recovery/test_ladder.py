"""Which steps there are for which reason, on which terrain."""

from __future__ import annotations

import itertools

import pytest

from whatsapp_operator.recovery import ladder
from whatsapp_operator.recovery.ladder import Rung, Terrain
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step

CREATE, RECONNECT, RESTART, SERVER = Step.CREATE, Step.RECONNECT, Step.RESTART, Step.RESTART_SERVER
RELOGIN, RECREATE = Step.RELOGIN, Step.RECREATE

PROTECTED = Terrain(protected=True, restartable=True)
FIXED = Terrain(protected=True, restartable=False)
BARE = Terrain(protected=False, restartable=True)
OLD = Terrain(protected=True, restartable=True, relogin_deafens=True)
OLD_FIXED = Terrain(protected=True, restartable=False, relogin_deafens=True)
OLD_BARE = Terrain(protected=False, restartable=True, relogin_deafens=True)
NEW = Terrain(protected=True, restartable=True, refuses_zombies=True)
NEW_FIXED = Terrain(protected=True, restartable=False, refuses_zombies=True)
NEW_BARE = Terrain(protected=False, restartable=True, refuses_zombies=True)

TABLE: list[tuple[Reason, Terrain, list[Step]]] = [
    (Reason.NOT_FOUND, PROTECTED, [CREATE]),
    (Reason.GHOST, PROTECTED, [SERVER, RECREATE]),
    (Reason.GHOST, FIXED, [RECREATE]),
    (Reason.GHOST, BARE, [RECREATE]),
    (Reason.GHOST, NEW, [SERVER, RECREATE]),
    (Reason.ROW_MISSING, PROTECTED, [RECREATE]),
    (Reason.DEAD_SOCKET, PROTECTED, [RESTART, SERVER, RECREATE]),
    (Reason.DEAD_SOCKET, FIXED, [RESTART, RECREATE]),
    (Reason.DEAD_SOCKET, NEW, [RESTART, SERVER]),
    (Reason.DEAD_SOCKET, NEW_FIXED, [RESTART, SERVER]),
    (Reason.LOGGED_OUT, PROTECTED, [RECONNECT]),
    (Reason.NO_QR_CODE, PROTECTED, [RESTART, RELOGIN, RECREATE]),
    (Reason.NO_QR_CODE, BARE, [RESTART, RELOGIN, RECREATE]),
    (Reason.NO_QR_CODE, OLD, [RESTART, RECREATE]),
    (Reason.NO_QR_CODE, OLD_FIXED, [RESTART, RECREATE]),
    (Reason.NO_QR_CODE, OLD_BARE, [RESTART, RECREATE]),
    (Reason.NO_QR_CODE, NEW_BARE, [RESTART, RELOGIN, RECREATE]),
    (Reason.CONNECTING, PROTECTED, [RESTART, SERVER, RECREATE]),
    (Reason.CONNECTING, FIXED, [RESTART, RECREATE]),
    (Reason.CONNECTING, BARE, [RESTART, RECREATE]),
    (Reason.CONNECTING, OLD, [RESTART, SERVER, RECREATE]),
    (Reason.CONNECTING, NEW, [RESTART, SERVER]),
    (Reason.CONNECTING, NEW_FIXED, [RESTART, SERVER]),
    (Reason.CONNECTING, NEW_BARE, [RESTART, RECREATE]),
    (Reason.REPLACED, PROTECTED, [SERVER]),
    (Reason.REPLACED, FIXED, [SERVER]),
    (Reason.CREDENTIALS, PROTECTED, [RELOGIN]),
    (Reason.CREDENTIALS, OLD, [RELOGIN]),
    (Reason.CREDENTIALS, OLD_FIXED, [RECREATE]),
    (Reason.CREDENTIALS, NEW_FIXED, [RELOGIN]),
    (Reason.QR_EXPIRED, BARE, [RECONNECT]),
    (Reason.CLOSED_SOCKET, PROTECTED, [RECONNECT, SERVER, RECREATE]),
    (Reason.CLOSED_SOCKET, FIXED, [RECONNECT, RECREATE]),
    (Reason.CLOSED_SOCKET, NEW, [RECONNECT, SERVER, RECREATE]),
    (Reason.NOT_STARTED, BARE, [RECONNECT]),
    (Reason.UNEXPLAINED_CLOSE, PROTECTED, [RECONNECT]),
    (Reason.CHANNEL_CLOSED, PROTECTED, [SERVER]),
    (Reason.CHANNEL_CLOSED, FIXED, [SERVER]),
]
EVERYWHERE = [Terrain(*facts) for facts in itertools.product([False, True], repeat=4)]


@pytest.mark.parametrize(("reason", "terrain", "steps"), TABLE)
def test_steps_of_a_reason_gentlest_first(reason: Reason, terrain: Terrain, steps: list[Step]) -> None:
    assert [rung.step for rung in ladder.rungs(reason, terrain)] == steps


def test_table_holds_every_reason_that_has_a_ladder() -> None:
    assert {reason for reason, _, _ in TABLE} == set(ladder.LADDERS)


@pytest.mark.parametrize("reason", sorted(set(Reason) - set(ladder.LADDERS)))
def test_reason_without_a_ladder_has_no_rung_anywhere(reason: Reason) -> None:
    assert all(ladder.rungs(reason, terrain) == () for terrain in EVERYWHERE)


@pytest.mark.parametrize("reason", [Reason.RESTRICTED, Reason.SESSION_MISSING, Reason.CREDENTIALS_LOST])
def test_restricted_account_lost_session_and_lost_credentials_are_healed_by_no_step(reason: Reason) -> None:
    assert all(ladder.rungs(reason, terrain) == () for terrain in EVERYWHERE)


@pytest.mark.parametrize("terrain", EVERYWHERE)
@pytest.mark.parametrize("reason", sorted(ladder.LADDERS))
def test_ladder_never_ends_above_nothing(reason: Reason, terrain: Terrain) -> None:
    assert ladder.rungs(reason, terrain)


@pytest.mark.parametrize("reason", [Reason.DEAD_SOCKET, Reason.CONNECTING])
def test_protected_zombie_of_a_server_that_refuses_is_never_logged_out_or_recreated(reason: Reason) -> None:
    for terrain in EVERYWHERE:
        if terrain.refuses_zombies and terrain.protected:
            assert {rung.step for rung in ladder.rungs(reason, terrain)} == {RESTART, SERVER}


def test_instance_that_holds_nothing_never_costs_a_restart_of_the_server_that_a_recreate_would_spare() -> None:
    for reason, terrain in itertools.product(ladder.LADDERS, EVERYWHERE):
        steps = [rung.step for rung in ladder.rungs(reason, terrain)]
        if not terrain.protected and RECREATE in steps:
            assert SERVER not in steps


def test_relogin_that_deafens_is_taken_only_where_a_restart_of_the_server_can_follow() -> None:
    for reason, terrain in itertools.product(ladder.LADDERS, EVERYWHERE):
        if terrain.relogin_deafens and not terrain.restartable:
            assert RELOGIN not in [rung.step for rung in ladder.rungs(reason, terrain)]


@pytest.mark.parametrize(
    ("reason", "terrain", "tries"),
    [
        (Reason.CONNECTING, FIXED, [3, 3]),
        (Reason.DEAD_SOCKET, FIXED, [1, 3]),
        (Reason.CLOSED_SOCKET, PROTECTED, [1, 1, 3]),
        (Reason.NO_QR_CODE, BARE, [2, 1, 3]),
        (Reason.NO_QR_CODE, OLD_BARE, [3, 3]),
    ],
)
def test_rung_is_tried_as_often_as_the_table_says(reason: Reason, terrain: Terrain, tries: list[int]) -> None:
    assert [rung.tries(3) for rung in ladder.rungs(reason, terrain)] == tries


def test_rung_that_spares_one_is_tried_once_at_least() -> None:
    assert Rung(RESTART, spare=1).tries(1) == 1
