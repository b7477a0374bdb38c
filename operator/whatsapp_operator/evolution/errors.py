"""Why a call to the Evolution API proved nothing.

Inside this package a call that proves nothing ends in one of these errors; at its edge, `client.Client` turns each into
`evidence.Unknown`, so that no caller can take an error for absence.

    EvolutionError
    ├── PolicyRefused          the URL, or an address behind its name, is one the operator does not call
    ├── Unreachable            no whole answer came; the call may have had its effect
    │   ├── TimedOut
    │   ├── NotResolved        the name has no address
    │   ├── ConnectionRefused  nothing listens there, or no route leads there
    │   ├── TLSFailed
    │   └── Broken             the connection ended early, or what came was not HTTP
    └── Misanswered            an answer that is none to what was asked
        ├── KeyRejected
        ├── MetricsRefused
        ├── LicenseRequired
        ├── NoSuchRoute
        ├── NotJSON
        ├── RateLimited
        ├── ServerFailed       carries the status
        └── UnexpectedShape    also a redirect, and a body that is too large
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from whatsapp_operator.evolution import evidence


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: the method and the route's template, never a name, key or body."""

    method: str
    route: str

    def __str__(self) -> str:
        return f"{self.method} {self.route}"


class EvolutionError(Exception):
    """The root of what a call to the Evolution API may end in; `why` is what it means to the caller."""

    why: ClassVar[evidence.Ignorance]

    def __init__(self, request: Request) -> None:
        super().__init__(str(request))
        self.request = request


class PolicyRefused(EvolutionError):  # noqa: N818 - the answer is the name, and the root says error
    """The URL, or an address behind its name, is one the operator does not call."""

    why = evidence.Ignorance.REFUSED_BY_POLICY


class Unreachable(EvolutionError):  # noqa: N818 - the answer is the name, and the root says error
    """No whole answer came; the call may have had its effect."""


class TimedOut(Unreachable):
    """No whole answer within the time allowed."""

    why = evidence.Ignorance.TIMEOUT


class NotResolved(Unreachable):
    """The server's name has no address."""

    why = evidence.Ignorance.NOT_RESOLVED


class ConnectionRefused(Unreachable):
    """Nothing listens there, or no route leads there."""

    why = evidence.Ignorance.REFUSED


class TLSFailed(Unreachable):
    """The certificate, or the CA bundle to check it with, is no good."""

    why = evidence.Ignorance.TLS


class Broken(Unreachable):
    """The connection ended early, or what came was not HTTP."""

    why = evidence.Ignorance.BROKEN


class Misanswered(EvolutionError):  # noqa: N818 - the answer is the name, and the root says error
    """An answer that is none to what was asked."""


class KeyRejected(Misanswered):
    """401 or 403: the key is not accepted, or cannot be sent."""

    why = evidence.Ignorance.KEY_REJECTED


class MetricsRefused(Misanswered):
    """`/metrics`, which takes no key, refuses who asks: by METRICS_AUTH_REQUIRED, or by METRICS_ALLOWED_IPS."""

    why = evidence.Ignorance.METRICS_REFUSED


class LicenseRequired(Misanswered):
    """503 `LICENSE_REQUIRED`: 2.4 and later answer nothing else without a licence."""

    why = evidence.Ignorance.LICENSE_REQUIRED


class NoSuchRoute(Misanswered):
    """404 `Cannot GET ...`: the server has no such route, or it is switched off."""

    why = evidence.Ignorance.NO_SUCH_ROUTE


class NotJSON(Misanswered):
    """Something else answered, or only half of the answer came."""

    why = evidence.Ignorance.NOT_JSON


class RateLimited(Misanswered):
    """429; Evolution API itself never says so, what stands before it may."""

    why = evidence.Ignorance.RATE_LIMITED


class ServerFailed(Misanswered):
    """Any 5xx that says no more than that."""

    why = evidence.Ignorance.SERVER_ERROR

    def __init__(self, request: Request, *, status: int) -> None:
        super().__init__(request)
        self.status = status


class UnexpectedShape(Misanswered):
    """JSON or text that no supported version answers with."""

    why = evidence.Ignorance.UNEXPECTED_SHAPE
