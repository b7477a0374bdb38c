"""The example service, on a real socket, against a simulator in a process of its own."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
import zxingcpp
from examples.library import qr_service
from PIL import Image

from evolution_simulator import control_client
from whatsapp_operator.library import MemoryRecordStore, Settings, Spans

KEY = "the-global-key"
PROGRAM = Path(qr_service.__file__)
SPEED = 10
QUICK = Settings(
    max_attempts=2,
    retry_delay_seconds=1,
    stuck_timeout_seconds=2,
    step_timeout_seconds=3,
    poll_seconds=0.1,
    database_poll_seconds=0.5,
    spans=Spans(absence=0.2, stable=1, stable_samples=10, qr_wait=3, frozen=7),
)
"""A code lives 4.5 s at this speed, so that none for 7 s means that there will be none."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def get(url: str) -> httpx.Response:
    return httpx.get(url, timeout=60, trust_env=False)


def wait_until_open(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(httpx.TransportError):
            get(url)
            return
        assert time.monotonic() < deadline, "the service did not start"
        time.sleep(0.05)


def code_in(picture: bytes) -> str:
    """The text of a QR code in a picture."""
    (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))
    return found.text


def create(simulator: control_client.Simulator, name: str) -> None:
    body = {"instanceName": name, "integration": "WHATSAPP-BAILEYS"}
    httpx.post(f"{simulator.url}/instance/create", json=body, headers={"apikey": KEY}).raise_for_status()


@pytest.fixture(scope="module")
def simulator() -> Iterator[control_client.Simulator]:
    with control_client.launch(api_key=KEY, version="2.3.7", speed=SPEED) as running:
        running.no_races()
        yield running


@pytest.fixture(scope="module")
def service(simulator: control_client.Simulator) -> Iterator[str]:
    """The service in this process, with short spans."""
    port = free_port()
    app = qr_service.application(url=simulator.url, api_key=KEY, store=MemoryRecordStore(), settings=QUICK)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{port}/instances"
    wait_until_open(url)
    yield url
    server.should_exit = True
    thread.join()


def test_the_program_shows_a_code_that_can_be_scanned_and_none_once_it_was(
    simulator: control_client.Simulator, tmp_path: Path
) -> None:
    port = free_port()
    environment = {"EVOLUTION_URL": simulator.url, "EVOLUTION_API_KEY": KEY, "PORT": str(port)}
    environment |= {"RECORDS": str(tmp_path / "records.db")}
    with subprocess.Popen([sys.executable, str(PROGRAM)], env=os.environ | environment) as program:
        try:
            url = f"http://127.0.0.1:{port}/instances/shop"
            wait_until_open(url)
            page, shown = get(url), get(f"{url}/qr.png")
            simulator.scan("shop")
            simulator.wait_for("shop", lambda seen: seen["memory"] == "open")
            connected = get(f"{url}/qr.png")
        finally:
            program.terminate()

    assert '<img src="shop/qr.png"' in page.text
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/png")
    assert code_in(shown.content).startswith("2@")
    assert connected.status_code == 409
    assert (tmp_path / "records.db").exists()


def test_the_dead_code_of_a_broken_instance_is_not_shown(simulator: control_client.Simulator, service: str) -> None:
    create(simulator, "zombie")
    first = get(f"{service}/zombie/qr.png")
    simulator.break_("zombie", "S4")
    get(f"{service}/zombie/qr.png")
    time.sleep(QUICK.spans.frozen)
    simulator.reset_calls()

    shown = get(f"{service}/zombie/qr.png")

    assert first.status_code == shown.status_code == 200
    assert code_in(shown.content) != code_in(first.content)
    called = simulator.routes_called("zombie")
    assert called[0] == "restart"
    assert called[-2:] == ["create", "connect"]
    assert "delete" in called


def test_a_broken_instance_with_a_phone_is_not_begun_anew(simulator: control_client.Simulator, service: str) -> None:
    create(simulator, "paired")
    simulator.pair("paired")
    assert get(f"{service}/paired/qr.png").status_code == 409
    simulator.break_("paired", "S4")
    simulator.reset_calls()

    shown = get(f"{service}/paired/qr.png")

    assert shown.status_code == 503
    assert shown.json()["detail"]["state"] == "stuck"
    assert set(simulator.routes_called("paired")) == {"restart"}
    assert simulator.instance("paired")["database"] is not None


def test_nothing_is_created_while_the_server_cannot_be_read(simulator: control_client.Simulator, service: str) -> None:
    simulator.database_down()
    try:
        shown = get(f"{service}/nobody/qr.png")
    finally:
        simulator.database_up()

    assert shown.status_code == 503
    assert shown.json()["detail"]["state"] == "unknown"
    assert simulator.routes_called("nobody") == []


@pytest.mark.parametrize("name", ["..%2Fdelete", "a%3FinstanceName=b", "UPPER", "-"])
def test_a_name_that_could_reach_another_route_is_refused(service: str, name: str) -> None:
    assert get(f"{service}/{name}/qr.png").status_code in (404, 422)
