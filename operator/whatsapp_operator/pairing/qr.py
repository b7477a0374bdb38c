"""QR codes: the text that WhatsApp issues, as pictures that a phone reads."""

from __future__ import annotations

import io

import segno

_SCALE = 8
"""Pixels per module: a pairing code, of some 55 modules, becomes a picture of about 500 pixels."""
_BORDER = 4
"""Modules of quiet zone, which ISO/IEC 18004 asks for."""


def _make(code: str) -> segno.QRCode:
    return segno.make_qr(code, error="L", boost_error=False)


def png(code: str) -> bytes:
    """A PNG picture."""
    picture = io.BytesIO()
    _make(code).save(picture, kind="png", scale=_SCALE, border=_BORDER)
    return picture.getvalue()


def svg(code: str) -> bytes:
    """An SVG picture, white background included, so that it can be read on a dark page too."""
    picture = io.BytesIO()
    _make(code).save(picture, kind="svg", scale=_SCALE, border=_BORDER, light="white")
    return picture.getvalue()


def terminal(code: str) -> str:
    """Text in half blocks for a terminal with light writing on dark ground."""
    text = io.StringIO()
    _make(code).terminal(text, border=_BORDER, compact=True)
    return text.getvalue()
