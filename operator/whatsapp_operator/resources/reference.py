"""`docs/api.md`: the reference of both resources, from the same schemas that the API server enforces."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from whatsapp_operator.resources import names, rules, schema

_INTRODUCTION = """\
# API reference

Generated from `operator/whatsapp_operator/resources` by `make generate`. `kubectl explain wai.spec --recursive` and
`kubectl explain evs.spec --recursive` show the same from the cluster.

## Requests

An annotation on a WhatsAppInstance asks for something once. Its value may be any text that it did not have before;
`status.lastHandled` shows the last one that was carried out (one of more than 253 characters by its SHA-256).

| annotation | asks for |
| --- | --- |
| `whatsapp-operator.dev/reconcile-requested-at` | a look at the instance now |
| `whatsapp-operator.dev/restart-requested-at` | a restart of the instance, which keeps its pairing |
| `whatsapp-operator.dev/pairing-requested-at` | a QR code for `spec.pairing.windowSeconds` |
| `whatsapp-operator.dev/reset-requested-at` | a new start of recovery: attempts count from zero, `deafSince` is over |
| `whatsapp-operator.dev/approve` | the step of the token in `status.recovery.approval.token`; needs verb `approve` |

    kubectl annotate wai user-1-whatsapp --overwrite whatsapp-operator.dev/pairing-requested-at="$(date -Is)"
"""


def document(resources: Sequence[schema.Resource]) -> str:
    """Return the whole reference as Markdown."""
    return "\n".join([_INTRODUCTION, *(_chapter(resource) for resource in resources)])


def _chapter(resource: schema.Resource) -> str:
    whole = schema.structural(resource.model)
    parts = [
        f"## {resource.kind}\n",
        f"`{names.API_VERSION}`, namespaced, short name `{resource.short_name}`, category `{names.CATEGORY}`.\n",
        f"{whole['description']}\n",
        *(_section(name, whole["properties"][name]) for name in ("spec", "status")),
        "### Rules\n",
        "\n".join(f"- `{path}`: {message}" for path, message in _rules("", whole)) + "\n",
        "### Columns\n",
        _columns(resource),
    ]
    return "\n".join(parts)


def _section(name: str, described: schema.Schema) -> str:
    rows = "\n".join(_row(*field) for field in _fields(name, described))
    heading = f"### {name}\n\n{described['description']}\n"
    return f"{heading}\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n{rows}\n"


def _fields(path: str, described: schema.Schema) -> Iterator[tuple[str, schema.Schema, bool]]:
    required = described.get("required", ())
    for name, field in described.get("properties", {}).items():
        below = f"{path}.{name}"
        yield below, field, name in required
        yield from _fields(below, field)
        yield from _fields(f"{below}[]", field.get("items", {}))


def _row(path: str, field: schema.Schema, required: bool) -> str:
    default = "required" if required else _default(field)
    meaning = " ".join([field["description"], *_limits(field)])
    return f"| `{path}` | {_type(field)} | {default} | {_escape(meaning)} |"


def _type(field: schema.Schema) -> str:
    if field["type"] == "array":
        return f"list of {_type(field['items'])}s"
    return "time" if field.get("format") == "date-time" else str(field["type"])


def _default(field: schema.Schema) -> str:
    given = field.get("default")
    return "" if given in (None, {}) else f"`{json.dumps(given)}`"


def _limits(field: schema.Schema) -> Iterator[str]:
    if values := field.get("enum", field.get("items", {}).get("enum")):
        yield "One of " + ", ".join(f"`{value}`" for value in values) + "."
    if field["type"] == "integer" and "minimum" in field:
        yield f"{field['minimum']} to {field['maximum']}." if "maximum" in field else f"At least {field['minimum']}."
    if field["type"] == "string" and "maxLength" in field:
        yield f"At most {field['maxLength']} characters."
    if field["type"] == "array":
        yield f"{field.get('minItems', 0)} to {field['maxItems']} items."


def _rules(path: str, described: schema.Schema) -> Iterator[tuple[str, str]]:
    for rule in described.get(rules.VALIDATIONS, ()):
        yield path + rule.get("fieldPath", "") or "metadata.name", rule["message"]
    for name, field in described.get("properties", {}).items():
        yield from _rules(f"{path}.{name}".removeprefix("."), field)
    if "items" in described:
        yield from _rules(f"{path}[]", described["items"])


def _columns(resource: schema.Resource) -> str:
    rows = "\n".join(_column(column) for column in resource.columns)
    return f"| column | shown | meaning |\n| --- | --- | --- |\n{rows}\n"


def _column(column: schema.Column) -> str:
    shown = "with `-o wide`" if column.priority else "always"
    return f"| {column.name.upper()} | {shown} | {_escape(column.description)} |"


def _escape(text: Any) -> str:
    return str(text).replace("|", "\\|").replace("<", "&lt;")
