"""Every file in examples/ and manifests/ is YAML, and what is ours in it is understood by the operator."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from whatsapp_operator.resources import names, parsing
from whatsapp_operator.resources.instance import WhatsAppInstance
from whatsapp_operator.resources.server import EvolutionServer

Object = dict[str, Any]

TREE = Path(__file__).resolve().parents[2]
FILES = sorted(path for folder in ("examples", "manifests", "crds") for path in (TREE / folder).rglob("*.yaml"))
EVOLUTION_API = TREE / "examples" / "evolution-api"
PARSERS: dict[str, Callable[[Object], WhatsAppInstance | EvolutionServer]] = {
    "WhatsAppInstance": parsing.parse_instance,
    "EvolutionServer": parsing.parse_server,
}


def objects(path: Path) -> list[Object]:
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def ours() -> Iterator[Any]:
    for path in FILES:
        for one in objects(path):
            if one.get("apiVersion") == names.API_VERSION:
                label = f"{path.relative_to(TREE)}:{one['kind']}/{one['metadata']['name']}"
                yield pytest.param(one, id=label)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TREE)))
def test_file_holds_objects(path: Path) -> None:
    assert objects(path)


@pytest.mark.parametrize("one", list(ours()))
def test_resource_in_an_example_is_understood(one: Object) -> None:
    placed = one | {"metadata": {"namespace": "messaging"} | one["metadata"]}

    assert PARSERS[one["kind"]](placed).metadata.name == one["metadata"]["name"]


def deployed(folder: Path, kind: str) -> Object:
    (found,) = [one for path in folder.rglob("*.yaml") for one in objects(path) if one.get("kind") == kind]
    return found


def test_operator_runs_without_powers_and_never_without_a_replica() -> None:
    deployment = deployed(TREE / "manifests" / "base", "Deployment")["spec"]
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]

    assert deployment["replicas"] == 2
    assert deployment["strategy"]["type"] == "RollingUpdate"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def rules_in(path: Path) -> list[Object]:
    return next(one["rules"] for one in objects(path) if "rules" in one)


def test_one_namespace_and_all_namespaces_need_the_same_rights() -> None:
    manifests = TREE / "manifests"

    assert rules_in(manifests / "cluster-role.yaml") == rules_in(manifests / "namespaced" / "role.yaml")


def test_operator_may_neither_list_secrets_nor_use_wildcards() -> None:
    for rule in rules_in(TREE / "manifests" / "cluster-role.yaml"):
        granted = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
        assert "*" not in granted
        if "secrets" in rule["resources"]:
            assert rule["resources"] == ["secrets"]
            assert not granted & {"list", "watch", "update", "deletecollection"}


def test_compose_file_and_manifests_set_the_server_up_the_same_way() -> None:
    composed = yaml.safe_load((EVOLUTION_API / "docker-compose.yaml").read_text())["services"]["evolution-api"]
    configured: Object = deployed(EVOLUTION_API, "ConfigMap")["data"]
    deployment = deployed(EVOLUTION_API, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    from_secret = {"AUTHENTICATION_API_KEY", "DATABASE_CONNECTION_URI"}
    where_it_runs = {"SERVER_URL"}

    assert composed["image"] == deployment["image"]
    assert composed["environment"].keys() == configured.keys() | from_secret
    assert {name: composed["environment"][name] for name in configured.keys() - where_it_runs} == {
        name: value for name, value in configured.items() if name not in where_it_runs
    }


def test_evolution_api_is_set_up_so_that_it_keeps_its_instances() -> None:
    configured = deployed(EVOLUTION_API, "ConfigMap")["data"]
    deployment = deployed(EVOLUTION_API, "Deployment")["spec"]

    assert configured["DATABASE_SAVE_DATA_INSTANCE"] == "true"
    assert configured["DEL_INSTANCE"] == "false"
    assert configured["CACHE_REDIS_SAVE_INSTANCES"] == "false"
    assert configured["PROMETHEUS_METRICS"] == "true"
    assert "WEBHOOKS" not in configured["LOG_LEVEL"]
    assert deployment["replicas"] == 1
    assert deployment["strategy"] == {"type": "Recreate"}
