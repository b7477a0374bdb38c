"""What people and scripts are shown: the tables of kubectl, and the conditions that tools wait for.

`UPDATE_GOLDEN=1` writes the files in `golden/` anew; what changes between two runs is replaced by a word.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from e2e import kube, stage
from evolution_simulator.control_client import Simulator

GOLDEN = Path(__file__).with_name("golden")
VARYING = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>"),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "<time>"),
    (r"\b\d{8}-[0-9a-f]{4}\b", "<incident>"),
    (r"(Resource Version: +)\d+", r"\1<version>"),
    (r"http://127\.0\.0\.1:\d+", "<url>"),
)


@pytest.fixture
def calm(
    namespace: str,
    kubectl: kube.Kubectl,
    simulator: Simulator,
    kubeconfig_for: Callable[[str], Path],
    tmp_path: Path,
) -> Iterator[stage.Stage]:
    """A stage on which an instance may wait for its scan for as long as the test takes."""
    stage.install_roles(kubectl, namespace)
    with stage.opened(
        namespace=namespace,
        kubectl=kubectl,
        simulator=simulator,
        kubeconfig=kubeconfig_for("whatsapp-operator"),
        log_file=tmp_path / "operator.log",
        flags=stage.quick(f"--namespace={namespace}", "--frozen-seconds=300"),
    ) as opened:
        opened.server()
        kubectl("wait", "evs/main", "--for=condition=Ready", "--timeout=60s")
        yield opened


def populate(house: stage.Stage) -> None:
    """One instance that waits, one that is well, one that only a person can help, one that is somebody else's."""
    house.simulator.insert_row("foreign")
    house.instance("foreign")
    house.instance("stuck", recovery={"maxAttempts": 1})
    house.instance("well")
    for name in ("stuck", "well"):
        house.pair(name)
    house.simulator.break_("stuck", "S4")
    house.instance("waiting")
    house.wait_for_reason("waiting", "AwaitingScan")
    house.told("foreign", "Stalled", "AlreadyExists")
    kube.wait_until(lambda: house.kubectl.exists("secret", "waiting-pairing"), message="no QR code was offered")
    house.told("waiting", "Functional", "Functional")
    house.told("stuck", "RemediationAllowed", "NeedsServerRestart")
    settle(house)


def settle(house: stage.Stage) -> None:
    """Wait until nothing was written for three seconds."""

    def versions() -> str:
        return house.kubectl("get", "wai,evs", "-o", "jsonpath={.items[*].metadata.resourceVersion}")

    def unchanged() -> bool:
        before = versions()
        house.quiet_for(3)
        return versions() == before

    kube.wait_until(unchanged, timeout=60, message="writing went on")


def normal(text: str, house: stage.Stage) -> str:
    text = plain(text)
    return "\n".join(line.rstrip() for line in text.replace(house.namespace, "<namespace>").splitlines()) + "\n"


def plain(text: str) -> str:
    for pattern, word in VARYING:
        text = re.sub(pattern, word, text)
    return text


def table(printed: str) -> str:
    """kubectl's table with ages replaced, in columns as wide as what is left needs."""
    header, *lines = printed.splitlines()
    starts = [found.start() for found in re.finditer(r"\S+( \S+)*", header)]
    rows = [_cells(line, starts) for line in (header, *lines)]
    age = rows[0].index("AGE")
    rows = [rows[0], *([*row[:age], "<age>", *row[age + 1 :]] for row in rows[1:])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _cells(line: str, starts: Sequence[int]) -> list[str]:
    ends = [*starts[1:], len(line) + 1]
    return [plain(line[start:end].strip()) for start, end in zip(starts, ends, strict=True)]


def description(house: stage.Stage, name: str) -> str:
    """`kubectl describe` with each kind of Event once: how often one is told depends on how quick the machine is."""
    text, _, events = house.kubectl("describe", "wai", name).partition("Events:")
    told = {tuple(re.split(r" {2,}", line.strip(), maxsplit=4)) for line in events.splitlines()[3:] if line.strip()}
    lines = sorted(f"  {kind}  {reason}  {source}  {message}" for kind, reason, _, source, message in told)
    return text + "Events:\n" + "\n".join(lines)


def compare(name: str, shown: str) -> None:
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(shown)
    assert shown == file.read_text()


def test_tables_and_descriptions_are_as_they_were(calm: stage.Stage) -> None:
    populate(calm)

    compare("instances", normal(table(calm.kubectl("get", "wai")), calm))
    compare("instances-wide", normal(table(calm.kubectl("get", "wai", "-o", "wide")), calm))
    compare("servers", normal(table(calm.kubectl("get", "evs")), calm))
    for name in ("waiting", "well", "stuck", "foreign"):
        compare(f"describe-{name}", normal(description(calm, name), calm))


def test_tools_that_wait_can_tell_progress_from_a_halt(calm: stage.Stage) -> None:
    """The rules of kstatus: Reconciling while it goes on by itself, Stalled where a person must change the spec."""

    def told(name: str) -> list[tuple[str, str]]:
        return [calm.condition(name, kind) for kind in ("Ready", "Reconciling", "Stalled")]

    absent = ("", "")
    calm.simulator.insert_row("foreign")
    calm.instance("foreign")
    calm.instance("idle", pairing={"mode": "Never"})
    calm.instance("waiting")
    calm.instance("well")
    calm.pair("well")
    for name, reason in (("foreign", "AlreadyExists"), ("idle", "NotStarted"), ("waiting", "AwaitingScan")):
        calm.told(name, "Ready", reason)
    settle(calm)

    assert told("well") == [("True", "Healthy"), absent, absent]
    assert told("waiting") == [("False", "AwaitingScan"), ("True", "AwaitingScan"), absent]
    assert told("idle") == [("False", "NotStarted"), absent, absent]
    assert told("foreign") == [("False", "AlreadyExists"), absent, ("True", "AlreadyExists")]

    calm.update("well", recovery={"maxAttempts": 5})
    kube.wait_until(lambda: calm.status("well")["observedGeneration"] == 2, message="the change was not seen")
    assert {one["observedGeneration"] for one in calm.status("well")["conditions"]} == {2}


def test_kubectl_wait_ends_when_a_new_instance_is_ready_and_not_before(calm: stage.Stage) -> None:
    calm.instance("user-1")
    early = calm.kubectl.run("wait", "wai/user-1", "--for=condition=Ready", "--timeout=3s")

    assert early.returncode != 0
    calm.pair("user-1")
