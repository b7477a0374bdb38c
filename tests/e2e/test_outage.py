"""Outages: what cannot be read is not touched, whatever the reason, and is Ready again by itself afterwards."""

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import httpx
import pytest

from e2e import kube, stage

NAMES = ("one", "two")
SILENCE_SECONDS = 5.0
"""Several times longer than anything that leads to a step."""


def wait_for_server(staged: stage.Stage, condition: str, status: str, reason: str) -> None:
    kube.wait_until(
        lambda: (
            (found := staged.kubectl.condition("evs", stage.SERVER, condition))
            and (found["status"], found["reason"]) == (status, reason)
        ),
        timeout=60,
        message=f"{condition} of the server never became {status} with {reason}",
    )


def assert_nothing_is_done(staged: stage.Stage, *names: str) -> None:
    staged.quiet_for(SILENCE_SECONDS)
    for name in names:
        assert staged.mutating_calls(name) == []
        assert staged.steps(name) == []


def test_server_that_is_down_makes_its_instances_unknown_and_tells_it_once(staged: stage.Stage) -> None:
    staged.paired_instances(*NAMES)

    staged.simulator.down()

    for name in NAMES:
        staged.wait_for_condition(name, "Ready", "Unknown", "ServerUnreachable")
    assert staged.kubectl.condition("evs", stage.SERVER, "Ready")["status"] == "False"
    staged.quiet_for(SILENCE_SECONDS)
    staged.simulator.up(load_seconds=1)
    for name in NAMES:
        staged.wait_ready(name)
        assert staged.mutating_calls(name) == []
        assert [event["reason"] for event in staged.events(name) if event["type"] == "Warning"] == []
    warnings = [event for event in staged.events(stage.SERVER) if event["type"] == "Warning"]
    assert [(one["reason"], one.get("count", 1)) for one in warnings] == [("ServerUnreachable", 1)]


PROVES_NOTHING: dict[str, list[dict[str, Any]]] = {
    "refused": [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 429},
        {"kind": "html", "status": 502},
        {"kind": "html", "status": 200},
    ],
    "broken": [{"kind": "truncated"}, {"kind": "reset"}, {"kind": "half-open"}],
}


@pytest.mark.parametrize("kind", PROVES_NOTHING)
def test_answer_that_proves_nothing_leads_to_no_call(staged: stage.Stage, kind: str) -> None:
    # A new instance for each, which needs a step and gets it only once the server can be read again.
    faults = {f"shut-{number}": fault for number, fault in enumerate(PROVES_NOTHING[kind])}
    staged.paired_instances(*faults)

    for name, fault in faults.items():
        staged.simulator.break_(name, "S5")
        staged.simulator.fault(**fault)
        staged.wait_for_condition(name, "Ready", "Unknown", "ServerUnreachable")
        assert_nothing_is_done(staged, name)

        staged.simulator.clear_faults()
        staged.simulator.release()
        staged.wait_ready(name)
        assert staged.mutating_calls(name) == ["connect"]


def test_database_that_is_down_makes_no_instance_absent(staged: stage.Stage) -> None:
    staged.paired_instances(*NAMES)

    staged.simulator.database_down()

    for name in NAMES:
        staged.wait_for_condition(name, "Ready", "Unknown", "ServerUnreachable")
    assert_nothing_is_done(staged, *NAMES)
    staged.simulator.database_up()
    for name in NAMES:
        staged.wait_ready(name)
        assert staged.mutating_calls(name) == []


def test_server_that_loads_slowly_has_no_ghosts_and_lacks_no_instance(staged: stage.Stage) -> None:
    names = ("one", "two", "three", "four")
    staged.paired_instances(*names)

    staged.simulator.restart_server(down_seconds=1, load_seconds=2)

    wait_for_server(staged, "WarmedUp", "False", "WarmingUp")
    for name in names:
        staged.wait_ready(name)
    wait_for_server(staged, "WarmedUp", "True", "WarmedUp")
    for name in names:
        assert staged.mutating_calls(name) == []
        assert staged.steps(name) == []


def test_server_with_another_client_name_is_not_touched(staged: stage.Stage) -> None:
    staged.paired_instances("one")
    client_name = staged.simulator.state()["clientName"]
    staged.simulator.break_("one", "S5")

    staged.simulator.set_client_name("other")

    wait_for_server(staged, "IdentityConfirmed", "False", "OtherIdentity")
    staged.wait_for_condition("one", "Ready", "Unknown", "OtherIdentity")
    staged.simulator.reset_calls()
    assert_nothing_is_done(staged, "one")
    staged.simulator.set_client_name(client_name)
    staged.wait_ready("one")


def test_database_that_lost_most_instances_is_taken_for_another(staged: stage.Stage) -> None:
    names = ("one", "two", "three")
    staged.paired_instances(*names)

    for name in names:
        staged.simulator.break_(name, "S1")
        staged.simulator.delete_row(name)

    wait_for_server(staged, "IdentityConfirmed", "False", "InstancesVanished")
    assert_nothing_is_done(staged, *names)
    assert [staged.condition(name, "Ready")[0] for name in names] == ["Unknown"] * 3


Rewrite = Callable[[str, bytes], bytes]


class Relay(http.server.BaseHTTPRequestHandler):
    """Passes requests on to `server.target`, and what `server.rewrite` makes of the answers back."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Reads."""
        self.relay()

    def do_POST(self) -> None:
        """Changes."""
        self.relay()

    def do_DELETE(self) -> None:
        """Ends."""
        self.relay()

    def relay(self) -> None:
        """A request of any method."""
        server = cast("RelayServer", self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kept = {name: self.headers[name] for name in ("apikey", "Content-Type") if name in self.headers}
        answer = httpx.request(self.command, server.target + self.path, content=body, headers=kept, trust_env=False)
        content = server.rewrite(self.path, answer.content)
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class RelayServer(http.server.ThreadingHTTPServer):
    """Stands between the operator and a simulated server."""

    daemon_threads = True

    def __init__(self, target: str, rewrite: Rewrite) -> None:
        super().__init__(("127.0.0.1", 0), Relay)
        self.target, self.rewrite = target, rewrite


@contextlib.contextmanager
def relayed(staged: stage.Stage, rewrite: Rewrite) -> Iterator[None]:
    """The stage's server answers with something else, for as long as the block lasts."""
    with RelayServer(staged.simulator.url, rewrite) as relay:
        thread = threading.Thread(target=relay.serve_forever, daemon=True)
        thread.start()
        staged.server(url=f"http://127.0.0.1:{relay.server_port}")
        yield
        staged.server()
        relay.shutdown()


def test_list_of_another_shape_is_no_list_without_instances(staged: stage.Stage) -> None:
    staged.paired_instances("one")

    for text in (b'{"pong": true}', b'[{"name": 7}]', b"null"):
        with relayed(staged, answering_list_with(text)):
            staged.wait_for_condition("one", "Ready", "Unknown", "ServerUnreachable")
            wait_for_server(staged, "Reachable", "False", "UnexpectedShape")
            assert_nothing_is_done(staged, "one")

        staged.wait_ready("one")
        assert staged.mutating_calls("one") == []


def answering_list_with(text: bytes) -> Rewrite:
    return lambda path, found: text if "fetchInstances" in path else found


def test_unsupported_version_is_only_observed(staged: stage.Stage) -> None:
    staged.paired_instances("one")

    with relayed(staged, lambda _, found: found.replace(b"2.3.7", b"2.3.9")):
        wait_for_server(staged, "Compatible", "False", "UnsupportedVersion")
        staged.simulator.break_("one", "S5")
        staged.instance("new")
        staged.wait_for_reason("one", "ClosedSocket")
        staged.wait_for_condition("one", "RemediationAllowed", "False", "UnsupportedVersion")
        assert_nothing_is_done(staged, "one", "new")

    staged.wait_ready("one")
    staged.wait_for_reason("new", "AwaitingScan")
