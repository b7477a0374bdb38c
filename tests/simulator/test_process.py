"""The simulator as a process, through its client."""

from collections.abc import Iterator

import httpx
import pytest

from evolution_simulator import control_client

KEY = "process-key"


@pytest.fixture(scope="module")
def simulator() -> Iterator[control_client.Simulator]:
    """A simulator process whose clock stands still."""
    with control_client.launch(api_key=KEY, clock="driven", seed=7) as running:
        yield running


@pytest.fixture
def api(simulator: control_client.Simulator) -> Iterator[httpx.Client]:
    """A client of the Evolution API."""
    with httpx.Client(base_url=simulator.url, headers={"apikey": KEY}, trust_env=False) as client:
        yield client


def create(api: httpx.Client, name: str) -> None:
    """Create an instance."""
    body = {"instanceName": name, "integration": "WHATSAPP-BAILEYS"}
    assert api.post("/instance/create", json=body).status_code == 201


def test_instance_is_paired_broken_healed_and_told_about(
    simulator: control_client.Simulator, api: httpx.Client
) -> None:
    create(api, "one")
    owner = simulator.pair("one")
    simulator.break_("one", "S17")
    simulator.advance(5)
    assert simulator.instance("one")["memory"] == "connecting"

    api.post("/instance/restart/one")
    simulator.advance(2)

    seen = simulator.wait_for("one", lambda state: state["memory"] == "open", timeout=1)
    assert seen["ownerJid"] == owner
    assert simulator.routes_called("one") == ["create", "restart"]


def test_server_goes_down_and_up_while_the_control_api_answers(
    simulator: control_client.Simulator, api: httpx.Client
) -> None:
    simulator.down()
    with pytest.raises(httpx.TransportError):
        api.get("/")
    assert simulator.state()["listening"] is False

    simulator.up()

    assert api.get("/").status_code == 200


def test_process_is_replaced_at_the_pace_that_was_asked_for(
    simulator: control_client.Simulator, api: httpx.Client
) -> None:
    names = simulator.seed(3, prefix="replaced")
    simulator.down()
    assert simulator.state()["running"] is False

    simulator.up(load_seconds=10, ghosts=names[:1])
    others = len(simulator.state()["instances"]) - 3
    simulator.advance(10 * (others + 1) + 5)

    assert [simulator.instance(name)["memory"] for name in names] == [None, "open", None]
    simulator.restart_server()
    simulator.advance(5)
    assert {simulator.instance(name)["memory"] for name in names} == {"open"}


def test_session_is_held_elsewhere_until_that_server_is_gone(simulator: control_client.Simulator) -> None:
    [name] = simulator.seed(1, prefix="contested")
    simulator.break_(name, "S15")
    simulator.restart_server()
    simulator.advance(5)
    assert simulator.instance(name)["heldElsewhere"] is True

    simulator.end_foreign_holder(name)
    simulator.advance(5)

    assert (simulator.instance(name)["heldElsewhere"], simulator.instance(name)["memory"]) == (False, "open")
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        simulator.end_foreign_holder(name)


def test_proxy_and_the_internet_fail_when_told(simulator: control_client.Simulator, api: httpx.Client) -> None:
    create(api, "proxied")
    proxy = {"enabled": True, "host": "squid", "port": "1", "protocol": "http", "username": "", "password": ""}
    simulator.internet_down()
    assert api.post("/proxy/set/proxied", json=proxy).status_code == 400
    simulator.internet_up()
    assert api.post("/proxy/set/proxied", json=proxy).status_code == 201
    simulator.pair("proxied")

    simulator.whatsapp("silent", proxy="squid:1")
    simulator.advance(5)
    assert (simulator.instance("proxied")["proxy"], simulator.instance("proxied")["memory"]) == (
        "squid:1",
        "connecting",
    )

    simulator.whatsapp("reachable", proxy="squid:1")


def test_fault_is_switched_on_counted_and_off(simulator: control_client.Simulator, api: httpx.Client) -> None:
    number = simulator.fault("status", route="welcome", status=429, count=1)
    assert [api.get("/").status_code, api.get("/").status_code] == [429, 200]
    assert simulator.faults()[0]["hits"] == 1

    simulator.clear_faults(number)

    assert simulator.faults() == []


def test_what_cannot_be_done_is_refused(simulator: control_client.Simulator, api: httpx.Client) -> None:
    create(api, "unpaired")

    for refused in (lambda: simulator.scan("unpaired"), lambda: simulator.break_("unpaired", "S3")):
        with pytest.raises(httpx.HTTPStatusError, match="409"):
            refused()


def test_client_reaches_everything_else(simulator: control_client.Simulator, api: httpx.Client) -> None:
    names = simulator.seed(2, prefix="seeded")
    simulator.reset_calls()
    simulator.insert_row("ghost", token="t", status="open")  # noqa: S106  # a made-up token
    simulator.delete_row("ghost")
    simulator.no_races()
    simulator.database_down()
    assert api.get("/instance/fetchInstances").status_code == 500
    simulator.database_up()
    simulator.whatsapp("refused", instance=names[0])
    simulator.whatsapp("reachable", instance=names[0])
    simulator.advance(5)
    assert simulator.receive(names[0], 2) == 2
    simulator.drop(names[0])
    simulator.log_out(names[1])
    assert simulator.instance(names[1])["disconnectionReasonCode"] == 401
    simulator.dead_receiver("http://127.0.0.1:9", dead=True)
    assert simulator.webhooks() == []
    simulator.set_client_name("renamed")
    simulator.set_version("2.3.6")
    assert api.get("/").json()["version"] == "2.3.6"
    simulator.restart_server(ghosts=names)
    assert simulator.instance(names[0])["memory"] is None
    simulator.set_api_key("rotated")
    assert api.post("/verify-creds").status_code == 401
    simulator.set_api_key(KEY)
    simulator.release()
    assert simulator.call_counts() == {"fetchInstances": 1, "welcome": 1, "verifyCreds": 1}
    assert simulator.now() == simulator.advance(0)
