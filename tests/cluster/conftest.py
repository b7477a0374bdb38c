"""A Kubernetes API server to talk to: a scripted one in this process, and, for tests marked `e2e`, a real one.

The real one is a cluster of `tools/clusters.py`, created for the run; `-m "not e2e"` does without it.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from kubernetes.aio.client import Configuration

import clusters
from cluster import doubles
from whatsapp_operator.cluster import api, events, login, runtime, transport

TREE = Path(__file__).resolve().parents[2]


@pytest.fixture
async def scripted() -> AsyncIterator[doubles.Scripted]:
    server = doubles.Scripted()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture
def counted() -> doubles.Counted:
    return doubles.Counted()


@pytest.fixture
def renewals() -> list[str]:
    """Filled with the token that each renewal of the login brings."""
    return []


@pytest.fixture
async def calls(
    scripted: doubles.Scripted, counted: doubles.Counted, renewals: list[str]
) -> AsyncIterator[transport.Transport]:
    """Calls to the scripted server, with the token `old` until it is renewed."""
    configuration = Configuration(host=scripted.url, api_key={"BearerToken": "Bearer old"})

    async def renew() -> None:
        renewals.append("new")
        configuration.api_key["BearerToken"] = "Bearer new"

    opened = transport.Transport(configuration, renew_login=renew, observer=counted, timeout_seconds=1)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with clusters.opened(f"port-{os.getpid()}", tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture(scope="session")
def kubectl(kubeconfig: Path) -> doubles.Kubectl:
    """With our CustomResourceDefinitions installed."""
    admin = doubles.Kubectl(kubeconfig)
    admin("apply", "--server-side", "--force-conflicts", "-k", str(TREE / "crds"))
    admin("wait", "--for=condition=Established", "--timeout=30s", "-f", str(TREE / "crds"))
    return admin


@pytest.fixture
def namespace(kubectl: doubles.Kubectl) -> Iterator[str]:
    name = f"port-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
async def access(kubeconfig: Path) -> login.Login:
    opened = login.Login(login.find(kubeconfig), clock=runtime.SystemClock())
    await opened.open()
    return opened


@pytest.fixture
async def real_calls(access: login.Login, counted: doubles.Counted) -> AsyncIterator[transport.Transport]:
    opened = transport.Transport(access.configuration, renew_login=access.renew, observer=counted)
    yield opened
    await opened.close()


@pytest.fixture
def real(real_calls: transport.Transport, namespace: str) -> api.KubernetesApi:
    """The engine's port onto the real API server, in the test's namespace."""
    clock, random = runtime.SystemClock(), runtime.SystemRandom()
    recorder = events.Recorder(real_calls, clock=clock, random=random, instance="operator-0")
    return api.KubernetesApi(real_calls, recorder=recorder, namespaces=[namespace])


@pytest.fixture
def account_kubeconfig(kubectl: doubles.Kubectl, namespace: str, kubeconfig: Path, tmp_path: Path) -> Path:
    """The login of a service account of the namespace, which may nothing yet."""
    kubectl("create", "serviceaccount", "-n", namespace, "whatsapp-operator")
    token = kubectl("create", "token", "-n", namespace, "whatsapp-operator").strip()
    config = yaml.safe_load(kubeconfig.read_text())
    config["users"] = [{"name": entry["name"], "user": {"token": token}} for entry in config["users"]]
    path = tmp_path / "account"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def bind(kubectl: doubles.Kubectl, namespace: str) -> Callable[[], None]:
    """Binds the Roles that are shipped to the account."""

    def bind() -> None:
        for file in ("namespaced/role.yaml", "base/own-role.yaml"):
            for document in yaml.safe_load_all((TREE / "manifests" / file).read_text()):
                for subject in document.get("subjects", ()):
                    subject["namespace"] = namespace
                kubectl("apply", "-n", namespace, "-f", "-", given=json.dumps(document))

    return bind
