"""The operator's options: each a flag of `whatsapp-operator run`, and a variable of the environment.

The fields of `Options` are the one table behind the parser, the variables and the documentation. A flag goes before
its variable; several values of a variable are separated by commas. Everything is validated before anything starts, and
all that is wrong is told at once, each with its cure.
"""

from __future__ import annotations

import argparse
import dataclasses
import ipaddress
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from whatsapp_operator.engine import leadership
from whatsapp_operator.health import spans
from whatsapp_operator.telemetry import logs

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PREFIX = "WHATSAPP_OPERATOR_"
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://")
_SPANS = spans.Spans()
_TERMS = leadership.Terms()


class OptionsError(Exception):
    """Some options cannot be used; the message has a line for each, with its cure."""


@dataclass(frozen=True, slots=True)
class Flag:
    """How one field of `Options` is given. `parse` raises ValueError with the cure."""

    parse: Callable[[str], object]
    metavar: str
    help: str
    repeatable: bool = False


def _parse_seconds(given: str) -> float:
    try:
        number = float(given)
    except ValueError:
        number = math.nan
    if not 1 <= number <= 7 * 86400:
        raise ValueError("give a number of seconds from 1 to 604800, such as 30")
    return number


def _number(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(given: str) -> int:
        if not given.isdecimal() or not lowest <= int(given) <= highest:
            raise ValueError(f"give a whole number from {lowest} to {highest}")
        return int(given)

    return parse


def _parse_namespace(given: str) -> str:
    if _LABEL.fullmatch(given) is None:
        raise ValueError("give the name of a namespace, such as messaging")
    return given


def _parse_network(given: str) -> Network:
    try:
        return ipaddress.ip_network(given)
    except ValueError:
        raise ValueError("give an address or a network such as 127.0.0.1 or 10.0.0.0/8, host bits zero") from None


def _parse_format(given: str) -> logs.Format:
    return logs.Format(_choice(given, logs.Format))


def _parse_level(given: str) -> logs.Level:
    return logs.Level(_choice(given, logs.Level))


def _choice(given: str, words: Iterable[str]) -> str:
    if given not in list(words):
        raise ValueError(f"give one of {', '.join(words)}")
    return given


def _span(text: str) -> Flag:
    return Flag(_parse_seconds, "SECONDS", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything that can be set. Spans are in seconds."""

    namespace: Annotated[
        tuple[str, ...],
        Flag(_parse_namespace, "NAME", "Namespace to work in; all namespaces without.", repeatable=True),
    ] = ()
    kubeconfig: Annotated[
        Path | None,
        Flag(Path, "FILE", "Kubeconfig to log in with; else KUBECONFIG, the pod's account, ~/.kube/config."),
    ] = None
    telemetry_host: Annotated[str, Flag(str, "ADDRESS", "Address for metrics and health; all of them without.")] = ""
    telemetry_port: Annotated[
        int, Flag(_number(0, 65535), "PORT", "Port for metrics and health; 0 takes any that is free.")
    ] = 8080
    log_format: Annotated[logs.Format, Flag(_parse_format, "FORMAT", "json, or text for people.")] = logs.Format.JSON
    log_level: Annotated[logs.Level, Flag(_parse_level, "LEVEL", "debug, info, warning or error.")] = logs.Level.INFO
    allow_server_address: Annotated[
        tuple[Network, ...],
        Flag(
            _parse_network,
            "NETWORK",
            "Network in which servers may be although it is refused otherwise: loopback, link-local, the API server.",
            repeatable=True,
        ),
    ] = ()
    approval_seconds: Annotated[float, _span("How long an approval of a step holds.")] = 3600
    server_restart_seconds: Annotated[
        float, _span("A restart of a server has failed when it cannot be read again after this long.")
    ] = 600
    pause_period_seconds: Annotated[float, _span("Between readings of the pause of everything.")] = 5
    lease_namespace: Annotated[
        str | None,
        Flag(
            _parse_namespace,
            "NAME",
            "Namespace of the Leases, budgets and pause; else the pod's, the first watched, the kubeconfig's, default.",
        ),
    ] = None
    lease_duration_seconds: Annotated[
        float, _span("A replica that is silent for this long is dead, and its servers are taken over.")
    ] = _TERMS.lease_duration
    renew_deadline_seconds: Annotated[
        float, _span("A replica whose Lease was not renewed for this long stops all that it does.")
    ] = _TERMS.renew_deadline
    renew_period_seconds: Annotated[float, _span("Between renewals of a replica's Lease.")] = _TERMS.renew_period
    workers: Annotated[int, Flag(_number(1, 256), "NUMBER", "Resources that are worked on at once.")] = 16
    shutdown_seconds: Annotated[float, _span("Time for steps in flight to end after SIGTERM.")] = 20
    sweep_period_seconds: Annotated[float, _span("Between listings that repair what the watch has missed.")] = 300
    status_period_seconds: Annotated[
        float, _span("Between status writes of one instance, unless Ready or the step changes.")
    ] = 30
    key_refresh_seconds: Annotated[float, _span("Between readings of the servers' API keys.")] = 60
    absence_seconds: Annotated[float, _span("An instance not found for this long, three times, is absent.")] = (
        _SPANS.absence
    )
    stable_close_seconds: Annotated[float, _span("Length of the sample that tells a stable close.")] = _SPANS.stable
    stable_close_samples: Annotated[
        int, Flag(_number(2, 10000), "NUMBER", "Readings in the sample that tells a stable close.")
    ] = _SPANS.stable_samples
    flapping_seconds: Annotated[float, _span("Flapping for this long is more than a bad network.")] = _SPANS.flapping
    reachable_seconds: Annotated[
        float, _span("A pairing is given up when WhatsApp could be reached for this long, and it stayed bad.")
    ] = _SPANS.reachable
    probe_again_seconds: Annotated[float, _span("Before a probe that met a dead connection is taken once more.")] = (
        _SPANS.probe_again
    )
    qr_wait_seconds: Annotated[float, _span("A QR code has to be there after this long.")] = _SPANS.qr_wait
    qr_life_seconds: Annotated[float, _span("How long WhatsApp accepts a QR code.")] = _SPANS.qr_life
    frozen_seconds: Annotated[float, _span("No new QR code for this long: none is issued any more.")] = _SPANS.frozen
    warm_up_growth_seconds: Annotated[
        float, _span("A starting server is warm when its memory has not grown for this long.")
    ] = _SPANS.warm_up_growth
    orphan_release_seconds: Annotated[
        float,
        _span(
            "In a terminating namespace an instance is released when its server is gone, or its spec invalid, so long."
        ),
    ] = _SPANS.orphan_release
    delete_retry_seconds: Annotated[float, _span("Before DELETE is sent again, doubling.")] = _SPANS.delete_retry
    recreate_wait_seconds: Annotated[float, _span("Before a second Recreate of an incident, doubling.")] = (
        _SPANS.recreate_wait
    )
    recreate_wait_max_seconds: Annotated[float, _span("The longest wait between two Recreates.")] = (
        _SPANS.recreate_wait_max
    )

    @property
    def terms(self) -> leadership.Terms:
        """The spans of the Leases."""
        return leadership.Terms(
            lease_duration=self.lease_duration_seconds,
            renew_deadline=self.renew_deadline_seconds,
            renew_period=self.renew_period_seconds,
        )

    @property
    def spans(self) -> spans.Spans:
        """The spans of evidence, as the health rules take them."""
        return spans.Spans(
            absence=self.absence_seconds,
            stable=self.stable_close_seconds,
            stable_samples=self.stable_close_samples,
            flapping=self.flapping_seconds,
            reachable=self.reachable_seconds,
            probe_again=self.probe_again_seconds,
            qr_wait=self.qr_wait_seconds,
            qr_life=self.qr_life_seconds,
            frozen=self.frozen_seconds,
            warm_up_growth=self.warm_up_growth_seconds,
            orphan_release=self.orphan_release_seconds,
            delete_retry=self.delete_retry_seconds,
            recreate_wait=self.recreate_wait_seconds,
            recreate_wait_max=self.recreate_wait_max_seconds,
        )


def flags() -> Sequence[tuple[str, object, Flag]]:
    """Each option's field, default and flag, in the order of the documentation."""
    hints = get_type_hints(Options, include_extras=True)
    return [(entry.name, entry.default, hints[entry.name].__metadata__[0]) for entry in dataclasses.fields(Options)]


def flag_name(name: str) -> str:
    """The flag of a field: `--telemetry-port`."""
    return f"--{name.replace('_', '-')}"


def variable_name(name: str) -> str:
    """The environment variable of a field: `WHATSAPP_OPERATOR_TELEMETRY_PORT`."""
    return f"{_PREFIX}{name.upper()}"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add every flag to a parser. Values stay text: `read` validates those of the environment along with them."""
    for name, default, flag in flags():
        parser.add_argument(
            flag_name(name),
            action="append",
            metavar=flag.metavar,
            help=f"{flag.help} Default: {shown(default) or 'none'}.".replace("%", "%%"),
        )


def shown(default: object) -> str:
    """A default as it would be given; empty where there is none."""
    if isinstance(default, float):
        return f"{default:g}"
    return "" if default in (None, ()) else str(default)


def read(given: argparse.Namespace, environment: Mapping[str, str]) -> Options:
    """The options from flags and environment. Raises `OptionsError` with everything that is wrong."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, _, flag in flags():
        try:
            found = _find(name, flag, given, environment)
            values.update(found)
        except ValueError as error:
            problems.append(f"{flag_name(name)} ({variable_name(name)}): {error}")
    options = Options(**values) if not problems else Options()
    problems += [] if problems else _contradictions(options)
    if problems:
        raise OptionsError("\n".join(problems))
    return options


def _find(name: str, flag: Flag, given: argparse.Namespace, environment: Mapping[str, str]) -> Mapping[str, Any]:
    texts = getattr(given, name, None) or _from_environment(environment.get(variable_name(name), ""), flag)
    if not texts:
        return {}
    if flag.repeatable:
        return {name: tuple(dict.fromkeys(flag.parse(text) for text in texts))}
    if len(texts) > 1:
        raise ValueError("give it once")
    return {name: flag.parse(texts[0])}


def _from_environment(value: str, flag: Flag) -> Sequence[str]:
    # Kubernetes writes such a value for a Service that happens to be named like one of our variables.
    if not value.strip() or _SERVICE_LINK.match(value):
        return ()
    return [part.strip() for part in value.split(",") if part.strip()] if flag.repeatable else [value.strip()]


def _contradictions(options: Options) -> list[str]:
    problems = []
    if options.recreate_wait_max_seconds < options.recreate_wait_seconds:
        problems.append("--recreate-wait-max-seconds: give at least the --recreate-wait-seconds, where it begins")
    if options.renew_deadline_seconds < 2 * options.renew_period_seconds:
        problems.append("--renew-deadline-seconds: give at least twice the --renew-period-seconds, for a second try")
    if options.lease_duration_seconds <= options.renew_deadline_seconds:
        problems.append("--lease-duration-seconds: give more than the --renew-deadline-seconds, or two replicas act")
    return problems
