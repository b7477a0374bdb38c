"""A wire between an operator and the API server that a test can cut."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import yaml

_CHUNK = 65536


@dataclass
class Wire:
    """Forwards TCP connections to an address. While it is cut, nothing arrives and nothing is answered."""

    target: tuple[str, int]
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    whole: threading.Event = field(default_factory=threading.Event)
    ended: bool = False
    sockets: list[socket.socket] = field(default_factory=list)

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self.listener.getsockname()[1])

    def cut(self) -> None:
        """Swallow all that is sent, without a word: what a lost network does."""
        self.whole.clear()

    def mend(self) -> None:
        """Deliver again, also what was sent meanwhile."""
        self.whole.set()

    def serve(self) -> None:
        """Accept until `end`."""
        while not self.ended:
            try:
                near, _ = self.listener.accept()
                self.whole.wait()
                far = socket.create_connection(self.target)
            except OSError:
                continue
            self.sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                self.whole.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def end(self) -> None:
        """Close everything."""
        self.ended = True
        self.whole.set()
        for one in (self.listener, *self.sockets):
            with contextlib.suppress(OSError):
                one.close()


@contextlib.contextmanager
def wired(kubeconfig: Path, target: Path) -> Iterator[Wire]:
    """A copy of a kubeconfig at `target` that leads over a wire; it is whole at first."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    url = urlsplit(cluster["server"])
    wire = Wire((url.hostname or "", url.port or 443))
    wire.mend()
    cluster["server"] = f"{url.scheme}://127.0.0.1:{wire.port}"
    cluster.setdefault("tls-server-name", url.hostname)
    target.touch(mode=0o600)
    target.write_text(yaml.safe_dump(config))
    threading.Thread(target=wire.serve, daemon=True).start()
    try:
        yield wire
    finally:
        wire.end()
