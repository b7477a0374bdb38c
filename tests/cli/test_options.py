"""Options are validated before anything starts, all at once, each with its cure."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whatsapp_operator.cli import main, options
from whatsapp_operator.engine import leadership
from whatsapp_operator.health import spans
from whatsapp_operator.telemetry import logs

SECONDS = "give a number of seconds from 1 to 604800, such as 30"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


def read(*arguments: str, **variables: str) -> options.Options:
    return options.read(main.build_parser().parse_args(["run", *arguments]), variables)


def refused(*arguments: str, **variables: str) -> str:
    with pytest.raises(options.OptionsError) as raised:
        read(*arguments, **variables)
    return str(raised.value)


def test_nothing_given_gives_the_defaults() -> None:
    assert read() == options.Options()
    assert read().spans == spans.Spans()


def test_flags_are_read() -> None:
    chosen = read(
        "--namespace=shop",
        "--namespace=bank",
        "--telemetry-port=0",
        "--log-format=text",
        "--log-level=debug",
        "--allow-server-address=127.0.0.1",
        "--allow-server-address=fd00::/8",
        "--absence-seconds=1",
        "--kubeconfig=/etc/kubeconfig",
    )
    assert chosen.namespace == ("shop", "bank")
    assert chosen.telemetry_port == 0
    assert chosen.log_format is logs.Format.TEXT
    assert chosen.log_level is logs.Level.DEBUG
    assert chosen.allow_server_address == (ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("fd00::/8"))
    assert chosen.spans.absence == 1
    assert chosen.kubeconfig == Path("/etc/kubeconfig")


def test_variables_are_read() -> None:
    chosen = read(WHATSAPP_OPERATOR_NAMESPACE="shop, bank", WHATSAPP_OPERATOR_WORKERS="2")
    assert chosen.namespace == ("shop", "bank")
    assert chosen.workers == 2


def test_flag_goes_before_its_variable() -> None:
    assert read("--workers=3", WHATSAPP_OPERATOR_WORKERS="2").workers == 3


def test_empty_variable_is_as_none() -> None:
    assert read(WHATSAPP_OPERATOR_WORKERS="", WHATSAPP_OPERATOR_NAMESPACE=" ") == options.Options()


def test_variable_that_kubernetes_writes_for_a_service_is_not_ours() -> None:
    assert read(WHATSAPP_OPERATOR_TELEMETRY_PORT="tcp://10.0.0.1:8080") == options.Options()


def test_everything_wrong_is_told_at_once_with_flag_variable_and_cure() -> None:
    said = refused("--workers=0", "--log-format=xml", WHATSAPP_OPERATOR_SWEEP_PERIOD_SECONDS="5m")
    assert said.splitlines() == [
        "--log-format (WHATSAPP_OPERATOR_LOG_FORMAT): give one of json, text",
        "--workers (WHATSAPP_OPERATOR_WORKERS): give a whole number from 1 to 256",
        f"--sweep-period-seconds (WHATSAPP_OPERATOR_SWEEP_PERIOD_SECONDS): {SECONDS}",
    ]


@pytest.mark.parametrize(
    "argument",
    [
        "--namespace=Shop",
        "--namespace=a/b",
        "--telemetry-port=65536",
        "--telemetry-port=-1",
        "--workers=²",
        "--absence-seconds=0.5",
        "--absence-seconds=nan",
        "--absence-seconds=inf",
        "--allow-server-address=localhost",
        "--allow-server-address=10.0.0.1/8",
        "--stable-close-samples=1",
    ],
)
def test_value_out_of_bounds_is_refused(argument: str) -> None:
    assert argument.partition("=")[0] in refused(argument)


def test_flag_that_counts_once_is_not_given_twice() -> None:
    assert "once" in refused("--workers=1", "--workers=2")


def test_wait_that_begins_above_its_end_is_refused() -> None:
    assert "--recreate-wait-max-seconds" in refused("--recreate-wait-seconds=100", "--recreate-wait-max-seconds=10")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--renew-period-seconds=6"],
        ["--renew-deadline-seconds=15"],
        ["--lease-duration-seconds=10"],
        ["--lease-duration-seconds=2", "--renew-deadline-seconds=2", "--renew-period-seconds=1"],
    ],
)
def test_leases_that_would_let_two_replicas_act_or_allow_no_second_try_are_refused(arguments: list[str]) -> None:
    assert "-seconds: give" in refused(*arguments)


def test_shortest_leases_are_accepted() -> None:
    chosen = read("--lease-duration-seconds=3", "--renew-deadline-seconds=2", "--renew-period-seconds=1")
    assert chosen.terms == leadership.Terms(lease_duration=3, renew_deadline=2, renew_period=1)


LONGER_THAN_ANOTHER = ("lease_duration_seconds", "renew_deadline_seconds")
SPANS = [name for name, _, _ in options.flags() if name.endswith("_seconds") and name not in LONGER_THAN_ANOTHER]


@pytest.mark.parametrize("name", SPANS)
def test_every_span_can_be_a_second(name: str) -> None:
    rest = ["--recreate-wait-seconds=1"] if name == "recreate_wait_max_seconds" else []
    assert getattr(read(f"{options.flag_name(name)}=1", *rest), name) == 1


@settings(deadline=None)  # how long it takes hangs on the machine
@given(st.sampled_from([name for name, _, _ in options.flags()]), st.text(min_size=1, max_size=12))
def test_no_value_ends_in_anything_but_options_or_their_error(name: str, value: str) -> None:
    said = ""
    try:
        read(f"{options.flag_name(name)}={value}")
    except options.OptionsError as error:
        said = str(error)
    assert not said or options.flag_name(name) in said


class Start:
    """What the program starts: it remembers with which options, and ends with a code of its own."""

    CODE = 7

    def __init__(self) -> None:
        self.chosen: list[options.Options] = []

    def __call__(self, chosen: options.Options) -> int:
        self.chosen.append(chosen)
        return self.CODE


def test_program_says_what_is_wrong_and_does_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    start = Start()
    assert main.main(["run", "--workers=0"], environment={}, start=start) == main.USAGE_ERROR
    assert "--workers" in capsys.readouterr().err
    assert not start.chosen


def test_program_starts_with_what_was_given() -> None:
    start = Start()
    assert main.main(["run", "--workers=1"], environment={}, start=start) == Start.CODE
    assert start.chosen == [options.Options(workers=1)]


def test_program_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("whatsapp-operator ")


def row(name: str, default: object, flag: options.Flag) -> str:
    shown = options.shown(default)
    default_cell = f"`{shown}`" if shown else ""
    return f"| `{options.flag_name(name)}` | `{options.variable_name(name)}` | {default_cell} | {flag.help} |"


def test_documented_table_is_that_of_the_parser() -> None:
    table = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `--")]
    assert table == [row(*entry) for entry in options.flags()]
