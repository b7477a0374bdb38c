"""The roles that are shipped grant what preflight asks for, and what the code calls."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from whatsapp_operator.cluster import permissions

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
ROLES = [MANIFESTS / "cluster-role.yaml", MANIFESTS / "namespaced" / "role.yaml"]


def granted(path: Path) -> set[permissions.Permission]:
    role = next(document for document in yaml.safe_load_all(path.read_text()) if "rules" in document)
    return {
        permissions.Permission(group, resource, verb, name)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


@pytest.mark.parametrize("path", ROLES, ids=lambda path: path.name)
def test_role_grants_what_the_operator_needs(path: Path) -> None:
    assert set(permissions.PERMISSIONS) - granted(path) == set()


@pytest.mark.parametrize("path", ROLES, ids=lambda path: path.name)
def test_secrets_can_be_neither_listed_nor_watched(path: Path) -> None:
    verbs = {one.verb for one in granted(path) if one.resource == "secrets"}
    assert verbs == {"get", "create", "patch", "delete"}


def test_role_for_its_own_namespace_grants_what_is_asked_for_and_nothing_else() -> None:
    assert granted(MANIFESTS / "base" / "own-role.yaml") == set(permissions.OWN_PERMISSIONS)
