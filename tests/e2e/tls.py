"""TLS before a simulated server: an authority of a test's own, and a proxy that speaks TLS with its certificate."""

import asyncio
import contextlib
import os
import ssl
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from e2e import stage

WRITE = "import pathlib, sys; from native import certificates; certificates.write(pathlib.Path(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class Authority:
    """The files of one authority: its own certificate, and the certificate and key of a server on loopback."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.crt"

    def context(self) -> ssl.SSLContext:
        """What a server with this authority's certificate listens with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "apiserver.crt", self.folder / "apiserver.key")
        return context


def authority(folder: Path) -> Authority:
    """A new authority. The operator's environment makes it: that of these tests has no cryptography."""
    environment = {**os.environ, "PYTHONPATH": str(stage.ROOT / "tools")}
    subprocess.run([str(stage.PROGRAMS / "python"), "-c", WRITE, str(folder)], check=True, env=environment)
    return Authority(folder)


@contextlib.contextmanager
def proxy(url: str, trusted: Authority) -> Iterator[str]:
    """Serve what `url` serves over TLS, for as long as the block lasts; the URL to use instead."""
    target = urllib.parse.urlsplit(url)
    loop = asyncio.new_event_loop()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(target.hostname, target.port)
        await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))

    start = asyncio.start_server(connected, "127.0.0.1", 0, ssl=trusted.context())
    server = loop.run_until_complete(start)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        _end(loop)


def _end(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is still copied, so that nothing of it is reported later."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
