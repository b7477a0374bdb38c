"""The rules of structural schemas that the API server enforces, and those of our own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from whatsapp_operator.resources import generate, instance, overrides, rules, schema

TREE = Path(__file__).resolve().parents[2]
FORBIDDEN = {"$ref", "$defs", "anyOf", "oneOf", "allOf", "not", "const", "nullable", "title", "additionalProperties"}

Node = dict[str, Any]


def nodes(path: str, node: Node) -> Iterator[tuple[str, Node]]:
    yield path, node
    for name, field in node.get("properties", {}).items():
        yield from nodes(f"{path}.{name}", field)
    if "items" in node:
        yield from nodes(f"{path}[]", node["items"])


ALL = [
    (path, node)
    for resource in schema.RESOURCES
    for path, node in nodes(resource.kind, schema.structural(resource.model))
]


def each(chosen: list[tuple[str, Node]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("path", "node"), chosen, ids=[path for path, _ in chosen])


@each(ALL)
def test_value_has_one_type_and_nothing_that_is_not_structural(path: str, node: Node) -> None:
    assert node["type"] in {"object", "array", "string", "integer", "boolean"}
    assert not FORBIDDEN & node.keys()


@each([one for one in ALL if not one[0].endswith("[]")])
def test_every_field_is_described(path: str, node: Node) -> None:
    if path.endswith(".metadata"):
        assert node == {"type": "object"}  # any more is the API server's own
    else:
        assert node["description"].endswith(".") or path.endswith((".kind", ".apiVersion"))


@each([one for one in ALL if one[1]["type"] == "array"])
def test_list_is_bounded_and_says_how_it_merges(path: str, node: Node) -> None:
    assert node["maxItems"] <= 256
    assert node["x-kubernetes-list-type"] in {"set", "map", "atomic"}


@each([one for one in ALL if rules.VALIDATIONS in one[1]])
def test_value_with_rules_is_bounded_and_every_rule_has_a_message(path: str, node: Node) -> None:
    assert node["type"] == "object" or node["maxLength"] <= 2048
    assert all(rule["message"] and len(rule["message"]) < 2048 for rule in node[rules.VALIDATIONS])


@pytest.mark.parametrize("resource", schema.RESOURCES, ids=lambda resource: resource.kind)
def test_conditions_are_a_map_by_type(resource: schema.Resource) -> None:
    found = schema.structural(resource.model)["properties"]["status"]["properties"]["conditions"]

    assert found["x-kubernetes-list-type"] == "map"
    assert found["x-kubernetes-list-map-keys"] == ["type"]
    assert set(found["items"]["required"]) == {"type", "status", "reason", "message", "lastTransitionTime"}


@pytest.mark.parametrize("resource", schema.RESOURCES, ids=lambda resource: resource.kind)
def test_new_object_is_not_taken_for_one_that_was_seen(resource: schema.Resource) -> None:
    found = schema.structural(resource.model)["properties"]["status"]

    assert found["default"] == {}
    assert found["properties"]["observedGeneration"]["default"] == -1


def test_object_that_is_always_there_passes_its_inner_defaults_on_and_an_optional_one_does_not() -> None:
    """The API server fills in a default only where the object around it exists."""
    filled_in = {path for path, node in ALL if node.get("default") == {}}

    assert filled_in == {
        "WhatsAppInstance.spec.pairing",
        "WhatsAppInstance.status",
        "EvolutionServer.spec.budget",
        "EvolutionServer.spec.budget.storm",
        "EvolutionServer.spec.requests",
        "EvolutionServer.status",
    }


def test_what_a_server_can_default_has_no_default_on_the_instance() -> None:
    spec = schema.structural(instance.WhatsAppInstance)["properties"]["spec"]["properties"]

    for field, model in (("health", overrides.HealthOverrides), ("recovery", overrides.RecoveryOverrides)):
        assert "default" not in spec[field]
        assert len(spec[field]["properties"]) == len(model.model_fields)
        assert not any("default" in inner for inner in spec[field]["properties"].values())
    assert "default" not in spec["deletionPolicy"]


def test_reasons_of_a_newer_operator_fit_an_older_schema() -> None:
    found = schema.structural(instance.WhatsAppInstance)["properties"]["status"]["properties"]["reason"]

    assert "enum" not in found
    assert "pattern" in found


def test_generated_files_are_up_to_date() -> None:
    assert generate.outdated(TREE) == []


def test_check_finds_a_file_that_was_edited_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate.main(["--root", str(tmp_path)]) == 0
    edited = tmp_path / "crds" / "whatsappinstances.yaml"
    edited.write_text(edited.read_text() + "# mine\n")

    assert generate.main(["--root", str(tmp_path), "--check"]) == 1

    assert capsys.readouterr().err == "crds/whatsappinstances.yaml differs from the models: run `make generate`\n"
    assert edited.read_text().endswith("# mine\n")
    assert generate.main(["--root", str(tmp_path)]) == 0
    assert generate.main(["--root", str(tmp_path), "--check"]) == 0


def test_manifests_use_no_yaml_that_simple_readers_do_not_know() -> None:
    for path, text in generate.files().items():
        if path.suffix == ".yaml":
            assert not any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text))
