"""What a spec means: what has to be so on the server, and which reasons may stand for what is not.

One that says more than is judged here is not overlooked: what only changes how health is judged or steps are taken
shows nowhere while all is well, and of it that it was observed is all that can be asked.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Object = Mapping[str, Any]

DEFAULTS = {
    "rejectCall": False,
    "groupsIgnore": False,
    "alwaysOnline": False,
    "readMessages": False,
    "readStatus": False,
    "syncFullHistory": False,
    "msgCall": "",
}


@dataclass(frozen=True, slots=True)
class World:
    """Everything at one moment, by name."""

    url: str
    key: str
    client_name: str
    rows: Mapping[str, Object]
    webhooks: Mapping[str, Object | None]
    secrets: Mapping[str, Mapping[str, str]]
    servers: frozenset[str] = frozenset({"main"})
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Unmet:
    """Something that is not as the spec wants it, and the reasons that explain it."""

    what: str
    reasons: frozenset[str]


_NEVER_CREATED = frozenset(
    {
        "ServerNotFound",
        "ServerNotAllowed",
        "ServerTerminating",
        "Duplicate",
        "AlreadyExists",
        "SecretNotOurs",
        "HeadersNotFound",
        "Paused",
        "InvalidSpec",
        "ConfigurationRefused",
    }
)
_NOT_CONFIGURED = frozenset(
    {"HeadersNotFound", "ConfigurationRefused", "Paused", "InvalidSpec", "KeepsakeChanged", "KeepsakeNotOurs"}
)
_OTHER_TOKEN = frozenset({"AlreadyExists", "SecretNotOurs", "TokenDiffers"}) | _NOT_CONFIGURED
"""The token is looked at when settings and webhook are right: of two things that are wrong, the first is told."""


def conditions(body: Object) -> dict[str, Object]:
    """The conditions by type."""
    return {one["type"]: one for one in body.get("status", {}).get("conditions", ())}


def unobserved(body: Object) -> str:
    """What of a status is not of this generation, or says nothing; empty when all is."""
    generation, status = body["metadata"]["generation"], body.get("status", {})
    if status.get("observedGeneration") != generation:
        return f"generation {generation} was not observed, only {status.get('observedGeneration')}"
    old = [kind for kind, one in conditions(body).items() if one.get("observedGeneration") != generation]
    mute = [kind for kind, one in conditions(body).items() if not one.get("message") or not one.get("reason")]
    return f"{old} are of another generation, {mute} say nothing" if old or mute or not conditions(body) else ""


def explained(body: Object, unmet: Unmet) -> bool:
    """Whether a condition that is not well, or a pause, says why."""
    return any(
        one["reason"] in unmet.reasons and (one["status"] != "True" or kind in ("Paused", "Stalled"))
        for kind, one in conditions(body).items()
    )


def is_paused(spec: Object, now: datetime) -> bool:
    """Whether a pause holds."""
    pause = spec.get("pause")
    until = pause.get("until") if pause is not None else None
    if pause is None or until is None:
        return pause is not None
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        return True
    return moment.tzinfo is None or moment > now


def of_instance(body: Object, world: World) -> Iterator[Unmet]:
    """What of a WhatsAppInstance is not so."""
    spec, name = body["spec"], body["metadata"]["name"]
    yield from _pause(body, world)
    row = world.rows.get(spec.get("instanceName", name))
    if row is None:
        yield Unmet("it does not exist", _NEVER_CREATED)
        return
    yield from _identity(spec, row)
    reference = spec.get("tokenSecretRef", {"name": f"{name}-token", "key": "token"})
    token = world.secrets.get(reference["name"], {}).get(reference.get("key", "token"))
    if token is None or token.strip() != row["token"]:
        yield Unmet("its token is not that of its Secret", _OTHER_TOKEN)
    yield from _settings(spec, row)
    yield from _webhook(spec, world.webhooks.get(row["name"]), world)


def _pause(body: Object, world: World) -> Iterator[Unmet]:
    shown = conditions(body).get("Paused")
    if is_paused(body["spec"], world.now) and shown is None:
        yield Unmet("its pause is not shown", frozenset({"InvalidSpec"}))
    if not is_paused(body["spec"], world.now) and shown is not None:
        # A spec that is not understood is not acted on, so that the pause of the one before goes on.
        yield Unmet("a pause is shown that is over", frozenset({"InvalidSpec"}))


def _identity(spec: Object, row: Object) -> Iterator[Unmet]:
    for ours, theirs in (("integration", "integration"), ("number", "number"), ("businessId", "businessId")):
        wanted = spec.get(ours, "WHATSAPP-BAILEYS" if ours == "integration" else None)
        if wanted is not None and row[theirs] != wanted:
            yield Unmet(f"{ours} is {row[theirs]}", _NEVER_CREATED)


def _settings(spec: Object, row: Object) -> Iterator[Unmet]:
    wanted = spec.get("settings")
    for name, value in ({**DEFAULTS, **wanted} if wanted is not None else {}).items():
        if row["Setting"].get(name) != value:
            yield Unmet(f"settings.{name} is {row['Setting'].get(name)!r}", _NOT_CONFIGURED)


def _webhook(spec: Object, found: Object | None, world: World) -> Iterator[Unmet]:
    wanted = spec.get("webhook")
    if wanted is None:
        return
    headers = world.secrets.get(wanted["headersSecretRef"]["name"]) if "headersSecretRef" in wanted else {}
    expected = {
        "enabled": True,
        "url": wanted["url"],
        "events": sorted(wanted["events"]),
        "headers": headers,
        "webhookByEvents": wanted.get("byEvents", False),
        "webhookBase64": wanted.get("base64", False),
    }
    shown = {name: (found or {}).get(name) for name in expected}
    shown["events"], shown["headers"] = sorted(shown["events"] or ()), shown["headers"] or {}
    if shown != expected:
        yield Unmet(f"the webhook is {shown}, and not {expected}", _NOT_CONFIGURED)


def of_server(body: Object, world: World) -> Iterator[Unmet]:
    """What of an EvolutionServer is not so: what it says that it is must be so, else a reason is there.

    Of several things that are wrong the first is told, in the order in which a server is come to know; so what is wrong
    before explains what is wrong after it.
    """
    yield from _pause(body, world)
    ready, told, wrong = conditions(body).get("Ready", {}).get("status") == "True", frozenset[str](), False
    for found in _wrong_in_order(body["spec"], world):
        for what, reasons in found:
            wrong = True
            yield Unmet(what, reasons | told)
            if ready:
                yield Unmet(f"it is Ready, though {what}", frozenset())
        told = told.union(*(reasons for _, reasons in found))
    if not wrong and not ready:
        yield Unmet("it is not Ready, though nothing is wrong", frozenset())


def _wrong_in_order(spec: Object, world: World) -> Iterator[list[tuple[str, frozenset[str]]]]:
    """What is understood, what is needed to ask, who answers, to whom, and whether it is the one that was meant."""
    yield list(_windows(spec))
    secrets = (("apiKeySecretRef", ("apikey",)), ("caBundleSecretRef", ("ca.crt",)), ("metricsAuthSecretRef", _LOGIN))
    missing = [one for name, keys in secrets for one in _secret(spec, world, name, keys)]
    anyones = frozenset[str]().union(*(reasons for _, reasons in missing))
    yield [(what, anyones) for what, _ in missing]
    yield [("the URL is another", _UNREACHABLE)] if spec["url"].rstrip("/") != world.url else []
    yield [("its key is another", frozenset({"KeyRejected"}))] if not missing and _key(spec, world) != world.key else []
    other = spec.get("clientName", world.client_name) != world.client_name
    yield [("the client name is another", frozenset({"OtherIdentity"}))] if other else []


def _windows(spec: Object) -> Iterator[tuple[str, frozenset[str]]]:
    for window in spec.get("budget", {}).get("maintenance", ()):
        if (window["schedule"], window.get("timeZone", "UTC")) not in _WINDOWS:
            yield "a maintenance window can never begin", frozenset({"InvalidSpec"})


_UNREACHABLE = frozenset(
    {
        "ConnectionRefused",
        "NameNotResolved",
        "RefusedByPolicy",
        "NotJSON",
        "UnexpectedShape",
        "NoSuchRoute",
        "Timeout",
        "TLSError",
        "ConnectionBroken",
        "ServerError",
        "InvalidSpec",
        "NotObserved",
    }
)
_WINDOWS = frozenset(
    {(schedule, zone) for schedule in ("0 3 * * *", "*/5 * * * *") for zone in ("UTC", "Europe/Berlin")}
    | {("0 3 * * *", "America/Argentina/Ushuaia")}
)


_LOGIN = ("username", "password")


def _secret(spec: Object, world: World, name: str, keys: tuple[str, ...]) -> Iterator[tuple[str, frozenset[str]]]:
    reference = spec.get(name)
    if reference is None:
        return
    found = world.secrets.get(reference["name"])
    wanted = (reference["key"],) if "key" in reference else keys
    if found is None:
        yield f"the Secret of {name} is missing", frozenset({"SecretNotFound"})
    elif not all(found.get(key) for key in wanted):
        yield f"the Secret of {name} lacks a key", frozenset({"SecretKeyMissing", "SecretNotFound"})


def _key(spec: Object, world: World) -> str:
    reference = spec["apiKeySecretRef"]
    return world.secrets[reference["name"]][reference.get("key", "apikey")]


def decoded(secret: Object) -> dict[str, str]:
    """The data of a Secret."""
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in (secret.get("data") or {}).items()}
