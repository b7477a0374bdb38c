"""QR codes are not drawn: a picture costs more than all else in a simulated minute, and changes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import IO, Any
from unittest import mock

import segno


class _Undrawn:
    """Takes the place of a picture."""

    def save(self, out: IO[bytes], **_: Any) -> None:
        """Write as good as nothing."""
        out.write(b"picture")

    def terminal(self, out: IO[str], **_: Any) -> None:
        """Write as good as nothing."""
        out.write("picture")


@contextlib.contextmanager
def left_out() -> Iterator[None]:
    """For the time of the block, no QR code is drawn."""

    def make(*_: Any, **__: Any) -> _Undrawn:
        return _Undrawn()

    with mock.patch.object(segno, "make", make), mock.patch.object(segno, "make_qr", make):
        yield
