"""The operator's event loop."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import uvloop


class Loop(uvloop.Loop):
    """uvloop's, which connects a socket without asking another thread to look up an address that is one already.

    With an Evolution API every look needs a new connection, since Node closes an idle one after 5 s: by a profile, to
    open them, with those detours, was a sixth of what the operator costs at rest.
    """

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect a socket that does not block to an address in numbers; raise OSError where that fails."""
        try:
            sock.connect(address)
        except BlockingIOError:
            await self._until_writable(sock)
            failure = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failure != 0:
                raise OSError(failure, os.strerror(failure)) from None

    async def _until_writable(self, sock: socket.socket) -> None:
        writable: asyncio.Future[None] = self.create_future()

        def wake() -> None:
            if not writable.done():
                writable.set_result(None)

        self.add_writer(sock, wake)
        try:
            await writable
        finally:
            self.remove_writer(sock)
