"""A phone reads from every picture the code that was put in."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import pytest
import segno
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from whatsapp_operator.pairing import qr

BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
CODE = "2@" + ",".join(BASE64[:44] for _ in range(5))
"""As long as the codes that WhatsApp issues."""
CODES = st.builds("2@{},{}".format, st.text(BASE64, min_size=20, max_size=100), st.text(BASE64, max_size=150))


def scanned(picture: Image.Image) -> str:
    (found,) = zxingcpp.read_barcodes(picture)
    return str(found.text)


@settings(max_examples=25, deadline=None)
@given(CODES)
def test_png_is_read_as_the_code(code: str) -> None:
    assert scanned(Image.open(io.BytesIO(qr.png(code)))) == code


def test_png_of_a_real_code_is_large_enough_to_scan_and_small_enough_for_a_secret() -> None:
    picture = qr.png(CODE)
    assert Image.open(io.BytesIO(picture)).width >= 400
    assert len(picture) < 10_000


def test_terminal_picture_is_read_as_the_code() -> None:
    """Light on dark, as terminals are: two modules above each other per character."""
    dark = {" ": (0, 0), "▀": (255, 0), "▄": (0, 255), "█": (255, 255)}
    lines = qr.terminal(CODE).splitlines()
    picture = Image.new("L", (len(lines[0]), 2 * len(lines)))
    for row, line in enumerate(lines):
        for column, character in enumerate(line):
            upper, lower = dark[character]
            picture.putpixel((column, 2 * row), upper)
            picture.putpixel((column, 2 * row + 1), lower)
    assert scanned(picture.resize((picture.width * 6, picture.height * 6), Image.Resampling.NEAREST)) == CODE


def test_svg_is_a_picture_of_the_same_code() -> None:
    root = ET.fromstring(qr.svg(CODE))  # noqa: S314 - our own picture
    modules = segno.make_qr(CODE, error="L", boost_error=False).symbol_size(scale=8, border=4)[0]
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("width") == str(modules)
    assert b'fill="#fff"' in qr.svg(CODE)


@pytest.mark.parametrize("render", [qr.png, qr.svg, qr.terminal])
def test_same_code_always_gives_the_same_picture(render: object) -> None:
    assert callable(render)
    assert render(CODE) == render(CODE)
