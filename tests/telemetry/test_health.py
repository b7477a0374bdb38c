"""The endpoints answer even when the operator's loop does not, and say why."""

from __future__ import annotations

import asyncio
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from whatsapp_operator.telemetry import health, metrics


@dataclass
class Time:
    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def state(time: Time) -> health.Health:
    return health.Health(monotonic=time, stuck_seconds=30)


@pytest.fixture
def url(state: health.Health) -> Iterator[str]:
    server = health.TelemetryServer(health=state, told=metrics.Metrics(), port=0, host="127.0.0.1")
    yield f"http://127.0.0.1:{server.start()}"
    server.stop()


def get(url: str) -> tuple[int, str]:
    """Without an event loop of this thread: it is the one that is stuck."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own server
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_beating_loop_is_alive(url: str, state: health.Health, time: Time) -> None:
    time.seconds = 29
    state.beat()
    time.seconds = 59
    assert get(f"{url}/healthz") == (200, "ok\n")


def test_stuck_loop_is_noticed(url: str, time: Time) -> None:
    time.seconds = 31
    assert get(f"{url}/healthz") == (503, "event loop: no heartbeat for 31 s\n")
    assert get(f"{url}/readyz")[0] == 503


async def test_endpoints_answer_while_this_loop_is_blocked(url: str) -> None:
    assert get(f"{url}/healthz") == (200, "ok\n")


def test_not_ready_names_what_is_missing_and_why(url: str, state: health.Health) -> None:
    state.expect("preflight", "CRD is not installed")
    state.expect("store", "not synced")
    assert get(f"{url}/readyz") == (503, "preflight: CRD is not installed\n")
    assert get(f"{url}/healthz")[0] == 200
    state.satisfied("preflight")
    assert get(f"{url}/readyz") == (503, "store: not synced\n")
    state.satisfied("store")
    assert get(f"{url}/readyz") == (200, "ok\n")


def test_check_is_asked_at_each_request(url: str, state: health.Health) -> None:
    answers: list[str | None] = ["not running", None]
    state.check("watch", lambda: answers.pop(0))
    assert get(f"{url}/readyz") == (503, "watch: not running\n")
    assert get(f"{url}/readyz") == (200, "ok\n")


def test_metrics_are_served_as_prometheus_reads_them(url: str) -> None:
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:  # noqa: S310 - our own server
        assert answer.headers["Content-Type"] == metrics.CONTENT_TYPE
        assert b"whatsapp_operator_queue_depth 0.0" in answer.read()


def test_port_that_is_taken_is_an_error(state: health.Health) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        server = health.TelemetryServer(health=state, told=metrics.Metrics(), port=taken, host="127.0.0.1")
        with pytest.raises(OSError, match="address already in use"):
            server.start()
        server.stop()


async def test_heartbeat_measures_how_late_the_loop_is(state: health.Health, time: Time) -> None:
    told = metrics.Metrics()
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        time.seconds += seconds + 0.25
        if len(waits) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await health.heartbeat(state, told, sleep=sleep, monotonic=time)
    assert told.registry.get_sample_value("whatsapp_operator_loop_lag_seconds_count") == 2
    assert told.registry.get_sample_value("whatsapp_operator_loop_lag_seconds_sum") == pytest.approx(0.5)
