"""The QR object of an instance: what `connect` returns.

The server keeps the last code it was given. Neither a logout nor a successful pairing clears it, so a reader can get a
code that was used long ago; only the QR limit replaces the whole object (Evolution API 2.3.7, monitor.service.ts).
"""

import base64
import functools
import io
import random
from dataclasses import dataclass

import segno

PAIRING_CODE_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"


@dataclass(slots=True)
class QrCode:
    """The last code shown, and how many were."""

    count: int = 0
    code: str | None = None
    pairing_code: str | None = None

    def body(self) -> dict[str, object]:
        """The object as the API answers it: keys that were never set are absent."""
        if self.code is None:
            return {"count": self.count}
        return {
            "pairingCode": self.pairing_code,
            "code": self.code,
            "base64": picture(self.code),
            "count": self.count,
        }


def new_code(rng: random.Random) -> str:
    """A code of the form WhatsApp hands out: a reference and three keys."""
    reference = base64.b64encode(rng.randbytes(40)).decode()
    keys = [base64.b64encode(rng.randbytes(32)).decode() for _ in range(3)]
    return ",".join([f"2@{reference}", *keys])


def new_pairing_code(rng: random.Random) -> str:
    """Eight characters to be typed on the phone."""
    return "".join(rng.choices(PAIRING_CODE_ALPHABET, k=8))


@functools.lru_cache(maxsize=256)
def picture(code: str) -> str:
    """A PNG data URL of the code. A fixed mask skips the search for the prettiest one, most of the cost."""
    image = io.BytesIO()
    segno.make(code, micro=False, error="l", mask=0, boost_error=False).save(image, kind="png", scale=4)
    return f"data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}"
