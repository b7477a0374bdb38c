"""The simulator answers as the recorded servers did, request by request."""

import json
from typing import Any

import pytest

from contract import shape
from simulator.conftest import KEY, Bench, Start

OWNER = "5511999990001@s.whatsapp.net"
KEYS = {"global": KEY, "wrong": "not-a-key", "none": None}


async def to_open(bench: Bench) -> None:
    """The phone scans what is shown, or an instance that is paired comes back."""
    bench.pass_time(1)
    if bench.world.memory["closed"].state != "open":
        await bench.control("POST", "/instances/closed/scan", {"ownerJid": OWNER})
        bench.pass_time(2)


async def let_settle(bench: Bench) -> None:
    """Reconnects and deletions end."""
    bench.pass_time(2)


async def log_out_by_phone(bench: Bench) -> None:
    """The phone removes the device."""
    await bench.control("POST", "/instances/closed/disconnect", {"code": 401})


async def insert_ghost(bench: Bench) -> None:
    """Somebody inserts a row; refused creations are gone by then."""
    await let_settle(bench)
    await bench.control("PUT", "/rows/ghost", {"token": "token-ghost", "status": "open"})


async def delete_rowless_row(bench: Bench) -> None:
    """Somebody deletes a row."""
    await bench.control("DELETE", "/rows/rowless")


MOVES = {
    "open": to_open,
    "open-after-restart": let_settle,
    "logged-out-by-phone": log_out_by_phone,
    "ghost": insert_ghost,
    "ghost-deleted": let_settle,
    "rowless": delete_rowless_row,
}


def token(record: dict[str, Any]) -> str:
    """The token of the instance that a record is about; the recorded server had one instance then."""
    name = record["path"].rpartition("/")[2]
    return f"token-{'closed' if name == 'fetchInstances' else name}"


def body_of(text: str) -> Any:
    """JSON where it is JSON, else the text, as recorded."""
    try:
        return json.loads(text)
    except ValueError:
        return text


@pytest.mark.parametrize("version", shape.VERSIONS)
async def test_every_recorded_request_is_answered_as_the_real_server_did(start: Start, version: str) -> None:
    bench = await start(version, "--client-name", "evolution_exchange")
    state, problems = "", []

    for number, record in enumerate(shape.records(version)):
        if record["state"] != state and record["state"] in MOVES:
            await MOVES[record["state"]](bench)
        if record.get("note") == "after it is gone":
            await let_settle(bench)
        state = record["state"]
        key = token(record) if record["auth"] == "own token" else KEYS[record["auth"]]
        answer = await bench.request(record["method"], record["path"], json=record["request"], key=key)
        found = [] if answer.status_code == record["status"] else [f"status {record['status']} {answer.status_code}"]
        found += shape.differences(record["contentType"], answer.headers["content-type"], at="contentType")
        found += shape.differences(record["body"], body_of(answer.text))
        problems += [f"{number} {record['state']} {record['method']} {record['path']}: {each}" for each in found]

    assert problems == []


@pytest.mark.parametrize("version", shape.VERSIONS)
def test_a_recording_covers_every_state_that_the_replay_moves_into(version: str) -> None:
    recorded = {record["state"] for record in shape.records(version)}

    assert set(MOVES) <= recorded
