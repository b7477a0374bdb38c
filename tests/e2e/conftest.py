"""The cluster of the end-to-end tests, and the fixtures that give each test a place of its own in it.

One cluster serves a run, also where several workers share the tests: the process that pytest was started as creates it
before any test and deletes it after the last (`--keep-cluster` leaves it), and pytest-kind's `kind_cluster` finds it
there.
"""

import argparse
import contextlib
import fcntl
import os
import re
import secrets
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_kind.cluster

import clusters
from e2e import kube, proxied, relay, relayed, rights, stage
from evolution_simulator.control_client import Simulator
from native import binaries

DELETES_CLUSTER = pytest.StashKey[bool]()
DELETION_SECONDS = 60
NODES = 1  # for the workloads of e2e/workloads.py
CRDS = Path(__file__).resolve().parents[2] / "crds"
CHART_TESTS = ("test_chart.py", "test_helm.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rbac=helm` gives the operator of every test the rights of the chart, and none beside them."""
    sources = [source.value for source in rights.Source]
    parser.addoption("--campaign", action="store_true", help="run what is marked as campaign, and nothing else")
    parser.addoption("--rbac", choices=sources, default=rights.chosen().value, help="whose rights the operator has")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A campaign takes many minutes: it runs where it is asked for, and then alone."""
    wanted = bool(config.option.campaign)
    others = [item for item in items if bool(item.get_closest_marker("campaign")) is not wanted]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The numbers of a campaign: of each test, and over all."""
    ended = [one for word in ("passed", "failed") for one in terminalreporter.stats.get(word, ())]
    counted = [one for one in ended if one.when == "call" and one.user_properties]
    if config.option.campaign and counted:
        terminalreporter.section("campaign")
        for one in counted:
            told = ", ".join(f"{name} {value}" for name, value in one.user_properties)
            terminalreporter.line(f"{one.nodeid.rpartition('::')[2]}: {told}; {one.duration:.0f} s")
        totals: Counter[str] = Counter()
        for one in counted:
            totals.update(dict(one.user_properties))
        terminalreporter.line(f"all: {', '.join(f'{name} {value}' for name, value in totals.items())}")


def pytest_configure(config: pytest.Config) -> None:
    """Chooses the cluster, and gives pytest-kind our kind and kubectl, so that it downloads neither."""
    pytest_kind.cluster.KIND_VERSION = os.environ.get("KIND_VERSION", clusters.KIND_VERSION)
    chosen: dict[str, dict[str, object]] = getattr(config, "workerinput", {})
    if chosen:
        vars(config.option).update(chosen["kind"])
        return
    os.environ["CLUSTER"] = clusters.chosen().value  # the workers inherit both choices
    os.environ[rights.VARIABLE] = config.option.rbac
    config.stash[DELETES_CLUSTER] = not config.option.keep_cluster
    for name, value in _kind_options(config.option).items():
        setattr(config.option, name, value)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hands the choice to a worker of pytest-xdist."""
    node.workerinput["kind"] = _kind_options(node.config.option)


def _kind_options(given: argparse.Namespace) -> dict[str, str | bool | None]:
    native = clusters.chosen() is clusters.Source.NATIVE
    return {
        "cluster_name": f"e2e-{os.getpid()}" if given.cluster_name == "pytest-kind" else given.cluster_name,
        "keep_cluster": True,  # a worker that is done must not take it from the others
        "kubeconfig": given.kubeconfig,
        "kind_bin": str(clusters.KIND_NATIVE) if native else given.kind_bin or shutil.which("kind"),
        "kind_kubectl_bin": given.kind_kubectl_bin or str(clusters.KUBECTL),
        "kind_image": given.kind_image or clusters.KIND_IMAGE,
    }


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Creates the cluster, once, in the process that owns the run."""
    if not _is_worker(session.config) and not session.config.option.collectonly:
        _build_for_charts(session.config)
    if not _owns_cluster(session.config):
        return
    if session.config.stash[DELETES_CLUSTER]:
        os.environ["KIND_NATIVE_OWNER"] = str(os.getpid())
    os.environ["KIND_NATIVE_NODES"] = str(NODES)
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():  # the first start builds for minutes: let it be seen
        try:
            _kind_cluster(session.config).create()
        except subprocess.CalledProcessError:  # its own message is on the terminal by now
            pytest.exit("the cluster could not be created", returncode=1)


def _build_for_charts(config: pytest.Config) -> None:
    """Builds what the tests of the chart need before any test begins: beside others it would slow them down."""
    if not (rights.chosen() is rights.Source.HELM or _takes_chart_tests(config)):
        return
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        try:
            if clusters.chosen() is clusters.Source.NATIVE:
                binaries.ensure(nodes=True, scheduler=True)
            binaries.HELM.ensure()
        except binaries.BuildError as error:
            pytest.exit(str(error), returncode=1)


def _takes_chart_tests(config: pytest.Config) -> bool:
    """Whether the run takes them in; one that chooses by name builds when it comes to them."""
    given = {(config.invocation_params.dir / one.partition("::")[0]).resolve() for one in config.args}
    here = Path(__file__).resolve().parent
    wanted = {here, *here.parents, *(here / name for name in CHART_TESTS)}
    return not config.option.keyword and bool(given & wanted)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Deletes the cluster, after the last worker."""
    if _owns_cluster(session.config) and session.config.stash[DELETES_CLUSTER]:
        cluster = _kind_cluster(session.config)
        cluster.delete()
        shutil.rmtree(cluster.path, ignore_errors=True)


def _owns_cluster(config: pytest.Config) -> bool:
    needs_one = not _is_worker(config) and not config.option.collectonly
    return needs_one and clusters.chosen() is not clusters.Source.EXISTING


def _kind_cluster(config: pytest.Config) -> pytest_kind.KindCluster:
    options = config.option
    return pytest_kind.KindCluster(
        options.cluster_name,
        Path(options.kubeconfig) if options.kubeconfig else None,
        image=options.kind_image,
        kind_path=Path(options.kind_bin) if options.kind_bin else None,
        kubectl_path=Path(options.kind_kubectl_bin),
    )


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> kube.Cluster:
    """The cluster of this run, with our CustomResourceDefinitions established."""
    source = clusters.chosen()
    if source is clusters.Source.EXISTING:
        kubeconfig = clusters.export_current(tmp_path_factory.mktemp("cluster") / "kubeconfig")
    else:
        kubeconfig = request.getfixturevalue("kind_cluster").kubeconfig_path.resolve()
    found = kube.Cluster(kubeconfig, source)
    _apply_crds(found.kubectl, tmp_path_factory.getbasetemp().parent / "crds.lock")
    return found


def _apply_crds(kubectl: kube.Kubectl, lock: Path) -> None:
    with lock.open("a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        if any(CRDS.glob("*.yaml")):
            kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
            kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))


@pytest.fixture
def namespace(cluster: kube.Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh namespace, named after the test, deleted after it with all that is in it.

    Request it before whatever works in it (an operator, a simulator), so that those are stopped first. What their end
    left with our finalizer is freed, so that a failed test leaves nothing behind. Only an existing cluster is waited
    for: any other is deleted whole.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", request.node.originalname.lower()).strip("-")[:40]
    name = f"{slug}-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", name)
    yield name
    stage.free(cluster.kubectl.within(name))
    wait = "true" if cluster.source is clusters.Source.EXISTING else "false"
    limits = (f"--timeout={DELETION_SECONDS}s", f"--wait={wait}", "--ignore-not-found")
    cluster.kubectl("delete", "namespace", name, *limits, timeout=DELETION_SECONDS + 10)


@pytest.fixture
def kubectl(cluster: kube.Cluster, namespace: str) -> kube.Kubectl:
    """kubectl with an administrator's rights, in the test's namespace."""
    return cluster.kubectl.within(namespace)


@pytest.fixture
def kubeconfig_for(cluster: kube.Cluster, namespace: str, tmp_path: Path) -> Callable[[str], Path]:
    """Called with the name of a ServiceAccount of the test's namespace: the path of a kubeconfig that acts as it."""

    def kubeconfig_of(service_account: str) -> Path:
        target = tmp_path / f"{service_account}.kubeconfig"
        return cluster.kubeconfig_for(service_account, namespace=namespace, target=target)

    return kubeconfig_of


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulated Evolution API server of this test's own."""
    yield from stage.open_simulator()


@pytest.fixture
def relayed_stage(
    namespace: str,
    kubectl: kube.Kubectl,
    simulator: Simulator,
    kubeconfig_for: Callable[[str], Path],
    tmp_path: Path,
) -> Iterator[Callable[..., relayed.Relayed]]:
    """Called with a tap and flags: a stage on which the operator's requests go by the tap."""
    stage.install_roles(kubectl, namespace)
    with contextlib.ExitStack() as ends:
        quick = ends.enter_context(proxied.opened(kubectl))

        def open_with(tap: relay.Tap, *flags: str) -> relayed.Relayed:
            kubeconfig = kubeconfig_for("whatsapp-operator")
            given = relayed.opened(
                tap, kubectl=quick, simulator=simulator, kubeconfig=kubeconfig, folder=tmp_path, flags=flags
            )
            return ends.enter_context(given)

        yield open_with


@pytest.fixture
def staged(
    namespace: str,
    kubectl: kube.Kubectl,
    simulator: Simulator,
    kubeconfig_for: Callable[[str], Path],
    tmp_path: Path,
) -> Iterator[stage.Stage]:
    """A simulated server, its EvolutionServer `main`, and an operator that is ready."""
    stage.install_roles(kubectl, namespace)
    operator = stage.Operator(
        kubeconfig=kubeconfig_for("whatsapp-operator"),
        log_file=tmp_path / "operator.log",
        flags=(*stage.QUICK, f"--namespace={namespace}"),
    )
    set_up = stage.Stage(namespace=namespace, kubectl=kubectl, simulator=simulator, operator=operator)
    set_up.server()
    operator.start()
    kubectl("wait", "evs/main", "--for=condition=Ready", "--timeout=55s")
    yield set_up
    operator.stop()
    stage.show_log(operator)
