"""What to do about a reason, in the words of whoever calls the library: its arguments, not fields of a resource.

Nothing that a server answered gets in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from whatsapp_operator.resources.reasons import Reason

WHY_UNKNOWN: Mapping[Reason, str] = {
    Reason.TIMEOUT: "the server did not answer in time: check that it runs, url and check_timeout_seconds",
    Reason.NAME_NOT_RESOLVED: "the server's name has no address: check url",
    Reason.CONNECTION_REFUSED: "the connection was refused: check that the server runs, and the port in url",
    Reason.TLS_ERROR: "the server's certificate is not trusted: give the text of its authorities, in PEM, as ca_bundle",
    Reason.CONNECTION_BROKEN: "the connection broke: check what stands between this program and the server",
    Reason.RATE_LIMITED: "the server answers 429: call less often",
    Reason.SERVER_ERROR: "the server answers with errors: its database may be down, look at its log",
    Reason.NOT_JSON: "what answers is no Evolution API: check url",
    Reason.UNEXPECTED_SHAPE: "what answers is no Evolution API that is known: check url",
    Reason.NO_SUCH_ROUTE: "what answers lacks a route of the Evolution API: url is the server's root, without /manager",
    Reason.KEY_REJECTED: "the server rejects api_key: it is its AUTHENTICATION_API_KEY, not the token of an instance",
    Reason.METRICS_REFUSED: "the server refuses /metrics: metrics_auth is its METRICS_USER and METRICS_PASSWORD, and "
    "METRICS_ALLOWED_IPS, where set, has to have the address from which it is read",
    Reason.LICENSE_REQUIRED: "the server answers nothing without a licence: run one of the versions 2.3.3 to 2.3.7",
    Reason.OTHER_IDENTITY: "the server has another client name than before, so another database: check url and "
    "client_name, and give each server a store of its own",
    Reason.REFUSED_BY_POLICY: "url or the instance's name cannot be called: url begins with http:// or https://, and "
    "has no user name, query or fragment; a name is not empty, and not made of dots",
}
"""Each reason for which nothing can be read, with its cure."""

_WHY_REFUSED: Mapping[Reason, str] = {
    Reason.HEALTHY: "it works",
    Reason.AWAITING_SCAN: "it waits for a scan of its QR code",
    Reason.NOT_STARTED: "a new QR code is what it needs: call try_recover_instance",
    Reason.QR_EXPIRED: "a new QR code is what it needs: call try_recover_instance",
    Reason.LOGGED_OUT: "a new QR code is what it needs: call try_recover_instance",
    Reason.UNEXPLAINED_CLOSE: "it is closed and nothing says why: call try_recover_instance",
    Reason.SESSION_MISSING: "it works until the server restarts; have the phone at hand then",
    Reason.FLAPPING: "it tries to connect, and WhatsApp may be out of the server's reach: wait",
    Reason.SETTLING: "its state is not understood yet: call again",
    Reason.AWAITING_OBSERVATION: "what was seen does not suffice yet: call again",
    Reason.WARMING_UP: "the server may still be loading its instances: call again in some minutes",
    Reason.NOT_VOUCHED_FOR: "other paired instances do not reach WhatsApp either: wait until it can be reached",
    Reason.NEEDS_SERVER_RESTART: "only a restart of the Evolution API server heals it",
    Reason.RESTRICTED: "WhatsApp refuses the account: open WhatsApp on the phone and follow what it says",
    Reason.UNSUPPORTED_VERSION: "steps are taken on the versions 2.3.3 to 2.3.7 only",
}


def against_cleanup(reasons: Sequence[Reason]) -> str:
    """The reasons with what each of them means; of one that explains itself, the word."""
    told = (f"{reason} ({_WHY_REFUSED[reason]})" if reason in _WHY_REFUSED else str(reason) for reason in reasons)
    return ", ".join(told)
