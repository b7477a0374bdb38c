"""An HTTP relay between the operator and a server, in which a test sees each request, and decides what becomes of it.

`partition.Wire` cuts a connection; this knows requests. It stands before the API server, where it ends TLS, or before a
simulated Evolution API, and hands each request to a `Tap`, before it is sent on and before its answer is given back.
"""

import base64
import contextlib
import http.client
import http.server
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

_HOPS = frozenset({"host", "connection", "transfer-encoding", "content-length", "accept-encoding", "keep-alive"})
"""Headers of one connection only; without the wish for compression, answers can be read here."""
_SECONDS = 660.0
"""Longer than any watch."""


class Dropped(Exception):  # noqa: N818 - the event is the name
    """The connection ends without an answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `target` is path and query."""

    method: str
    target: str
    body: bytes = field(default=b"", repr=False)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(self.target.partition("?")[2]))

    @property
    def watches(self) -> bool:
        """Whether it is a watch of the Kubernetes API, whose answer does not end."""
        return self.query.get("watch") in ("1", "true")


class Tap:
    """Lets everything pass; what a test wants otherwise it overrides. Called by many threads at once."""

    def before(self, request: Request) -> bytes | None:  # noqa: ARG002 - for those that override it
        """Before it is sent on: JSON to answer with 200 instead, or None. Raises `Dropped` to give no answer at all."""
        return None

    def after(self, request: Request, status: int) -> None:
        """After it had its effect, before its answer. Raises `Dropped` to give none."""

    def lines(self, request: Request, arriving: Iterator[bytes]) -> Iterator[bytes]:  # noqa: ARG002 - likewise
        """What of a watch is passed on."""
        return arriving


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    relay: "Relay"


class Relay:
    """Listens on 127.0.0.1 and sends on to `target`, until `end`."""

    def __init__(self, target: str, tap: Tap, *, trusted: ssl.SSLContext | None = None) -> None:
        self.target, self.tap, self.trusted = urllib.parse.urlsplit(target), tap, trusted
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.relay = self
        self._upstreams: set[http.client.HTTPConnection] = set()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def connect(self) -> http.client.HTTPConnection:
        """A connection to the target."""
        place = (self.target.hostname or "", self.target.port)
        one = (
            http.client.HTTPSConnection(*place, timeout=_SECONDS, context=self.trusted)
            if self.target.scheme == "https"
            else http.client.HTTPConnection(*place, timeout=_SECONDS)
        )
        self._upstreams.add(one)
        return one

    def forget(self, one: http.client.HTTPConnection) -> None:
        """The connection is not needed any more."""
        self._upstreams.discard(one)
        one.close()

    def end(self) -> None:
        """Close the port and all connections to the target."""
        self._server.shutdown()
        self._server.server_close()
        self.break_off()

    def break_off(self) -> None:
        """Break all connections to the target; new ones can be made at once."""
        for one in list(self._upstreams):
            if one.sock is not None:
                with contextlib.suppress(OSError):
                    one.sock.shutdown(socket.SHUT_RDWR)  # wakes whoever reads from it


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        assert isinstance(self.server, _Server)
        self.relay = self.server.relay
        self.upstream = self.relay.connect()

    def finish(self) -> None:
        self.relay.forget(self.upstream)
        with contextlib.suppress(OSError):  # whoever asked may be dead by now
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Nothing: the journal of the simulator and the tap know better."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, body)
        try:
            instead = self.relay.tap.before(request)
            if instead is not None:
                self._answer(200, {"Content-Type": "application/json"}, instead)
                return
            self._pass(request, self._sent(request))
        except (Dropped, OSError, http.client.HTTPException):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base class looks for these

    def _sent(self, request: Request) -> http.client.HTTPResponse:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOPS}
        self.upstream.request(request.method, request.target, body=request.body or None, headers=headers)
        return self.upstream.getresponse()

    def _pass(self, request: Request, answer: http.client.HTTPResponse) -> None:
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOPS}
        if request.watches and answer.status == 200:
            self._stream(request, answer, headers)
            return
        data = answer.read()
        self.relay.tap.after(request, answer.status)
        self._answer(answer.status, headers, data)

    def _answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self._head(status, {**headers, "Content-Length": str(len(data))})
        self.wfile.write(data)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, request: Request, answer: http.client.HTTPResponse, headers: dict[str, str]) -> None:
        self._head(200, {**headers, "Transfer-Encoding": "chunked"})
        self.close_connection = True
        for line in self.relay.tap.lines(request, iter(answer.readline, b"")):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.write(b"0\r\n\r\n")


@contextlib.contextmanager
def before_evolution(url: str, tap: Tap) -> Iterator[Relay]:
    """A relay before a simulated server, for as long as the block lasts."""
    relay = Relay(url, tap)
    try:
        yield relay
    finally:
        relay.end()


@contextlib.contextmanager
def before_kubernetes(kubeconfig: Path, target: Path, tap: Tap) -> Iterator[Relay]:
    """A relay before the API server, and at `target` a copy of the kubeconfig that leads over it, by plain HTTP."""
    config = yaml.safe_load(kubeconfig.read_text())
    (cluster,) = (one["cluster"] for one in config["clusters"])
    relay = Relay(cluster["server"], tap, trusted=_trusting(cluster))
    cluster.clear()
    cluster["server"] = relay.url
    target.touch(mode=0o600)
    target.write_text(yaml.safe_dump(config))
    try:
        yield relay
    finally:
        relay.end()


def _trusting(cluster: dict[str, str]) -> ssl.SSLContext:
    data = cluster.get("certificate-authority-data")
    if data:
        return ssl.create_default_context(cadata=base64.b64decode(data).decode())
    return ssl.create_default_context(cafile=cluster.get("certificate-authority"))
