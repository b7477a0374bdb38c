"""The rights that the operator uses, beside those that the shipped roles grant: no more, and none to spare.

The API server's audit log tells what was used over a life in which everything happens that needs a right.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from e2e import kube, planes, stage
from evolution_simulator.control_client import Simulator

NAMESPACE = "messaging"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:whatsapp-operator"
OURS = "whatsapp-operator.dev"
EVERYBODYS = "authorization.k8s.io"  # asking for one's own rights: system:basic-user grants it
LEASES = stage.ROOT / "manifests" / "base" / "own-role.yaml"
ROLES = (stage.ROOT / "manifests" / "cluster-role.yaml", stage.ROOT / "manifests" / "namespaced" / "role.yaml")


class Right(NamedTuple):
    """One verb on one resource, as RBAC has it."""

    group: str
    resource: str
    verb: str


AFTER_A_CONFLICT = {Right(OURS, resource, "get") for resource in ("whatsappinstances", "evolutionservers")}
"""A resource is read again after somebody else wrote it in the very moment; no life can count on that."""


def granted(role: Path) -> set[Right]:
    rules = next(iter(yaml.safe_load_all(role.read_text())))["rules"]
    return {
        Right(group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def requests(audit_log: Path) -> list[dict[str, Any]]:
    """The requests of the operator for resources."""
    entries = (json.loads(line) for line in audit_log.read_text().splitlines())
    ours = [one for one in entries if one["user"]["username"] == ACCOUNT and "objectRef" in one]
    return [one for one in ours if one["objectRef"].get("apiGroup") != EVERYBODYS]


def right(request: dict[str, Any]) -> Right:
    what = request["objectRef"]
    resource = "/".join(filter(None, (what["resource"], what.get("subresource"))))
    return Right(what.get("apiGroup", ""), resource, request["verb"])


@pytest.fixture
def hasty() -> Iterator[Simulator]:
    """A server whose QR codes follow each other every few seconds."""
    yield from stage.open_simulator(speed=10)


def live(house: stage.Stage) -> None:
    """Create, show two QR codes, pair, heal, endure two outages, delete with the whole namespace."""
    house.server()
    house.instance("user-1")
    house.wait_for_reason("user-1", "AwaitingScan")
    kube.wait_until(lambda: house.kubectl.exists("secret", "user-1-pairing"), message="no QR code was offered")
    first = house.kubectl.json("get", "secret", "user-1-pairing")["data"]
    kube.wait_until(
        lambda: house.kubectl.json("get", "secret", "user-1-pairing")["data"] != first,
        timeout=90,
        message="the QR code was not followed by another",
    )
    house.simulator.pair("user-1")
    house.wait_ready("user-1")
    kube.wait_until(lambda: not house.kubectl.exists("secret", "user-1-pairing"), message="the used code stayed")
    for _ in range(2):
        house.simulator.down()
        house.told("user-1", "Ready", "ServerUnreachable")
        house.simulator.up()
        house.wait_ready("user-1")
    house.simulator.down()
    house.kubectl("delete", "namespace", house.namespace, "--wait=false")
    house.told("user-1", "Synced", "DeletionWaits")
    house.simulator.up()
    kube.wait_until(lambda: not house.kubectl.exists("namespace", house.namespace), timeout=90)


@planes.native_only
def test_operator_uses_all_that_its_role_grants_and_nothing_else(hasty: Simulator, tmp_path: Path) -> None:
    with planes.own(tmp_path, "--audit") as plane:
        plane.install_definitions()
        plane.namespace(NAMESPACE)
        with (
            stage.cluster_role(plane.cluster.kubectl, NAMESPACE),
            stage.opened(
                namespace="shop",
                kubectl=plane.namespace("shop"),
                simulator=hasty,
                kubeconfig=plane.cluster.kubeconfig_for(
                    "whatsapp-operator", namespace=NAMESPACE, target=tmp_path / "operator.kubeconfig"
                ),
                log_file=tmp_path / "operator.log",
                flags=stage.quick("--orphan-release-seconds=600", "--frozen-seconds=120"),
            ) as house,
        ):
            live(house)
        seen = requests(plane.audit_log)

    assert [right(one) for one in seen if _was_refused(one) and not _in_a_going_namespace(one)] == []
    assert {right(one) for one in seen} | AFTER_A_CONFLICT == granted(ROLES[0]) | granted(LEASES)
    assert {one["objectRef"]["namespace"] for one in seen if right(one) in granted(LEASES)} == {NAMESPACE}


def _was_refused(request: dict[str, Any]) -> bool:
    return request.get("responseStatus", {}).get("code") in (401, 403)


def _in_a_going_namespace(request: dict[str, Any]) -> bool:
    """Nothing can be created in a namespace that is being deleted: not even an Event that tells of it."""
    return request["verb"] == "create" and right(request).resource == "events"


def test_role_for_one_namespace_grants_what_the_role_for_all_does() -> None:
    assert granted(ROLES[1]) == granted(ROLES[0])
