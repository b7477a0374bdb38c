"""Values for a field: valid ones, those at its bounds and beyond them, and those of another kind.

What a schema of a type cannot tell, such as what a URL looks like, stands in a small table by the field's name. Whether
a value is valid is not said here: `schema.wrong` judges it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from e2e.walk import schema

HOOK = "http://127.0.0.1:9/hook"
UNICODE = "Grüße, 東京 🙂"

_TEXTS: Mapping[str, Sequence[str]] = {
    "url": (
        HOOK,
        "https://shop.example.com/hook?shop=1#a",
        "http://127.0.0.1:9",
        "http://[::1]:9/x",
        "ftp://shop",
        "shop.example.com",
        "http://me:hush@shop",
        "http://shop/a b",
        "http://",
    ),
    "number": ("123456", "+123"),
    "businessId": ("987",),
    "schedule": ("0 3 * * *", "*/5 * * * *", "61 3 * * *", "0 3 30 2 *", "whenever it rains", "@daily   "),
    "timeZone": ("UTC", "Europe/Berlin", "Mars/Olympus", "../../etc", "America/Argentina/Ushuaia"),
    "until": (
        "2099-01-01T00:00:00Z",
        "2001-01-01T00:00:00+02:00",
        "2099-01-01T00:00:00.123456789Z",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "soon",
        "2099-13-01T00:00:00Z",
        "2099-01-01",
    ),
    "clientName": ("evolution_exchange", "another"),
    "reason": ("moving house",),
    "events[]": ("CALL",),
    "allowedNamespaces[]": ("*", "shop", "team-*"),
}
_ANY_TEXTS = ("walked", "", "A", "a-b.c_d", "a b", "-", UNICODE, "a\nb")


def name_of(steps: schema.Steps) -> str:
    """The last name of a path; of an item that of its list, with brackets."""
    return "".join(steps[-2:]) if steps[-1] == schema.ITEM else steps[-1]


def of(field: schema.Field) -> list[Any]:
    """Values for a field, each once, the first of them valid where any is."""
    made = [*_of_its_type(field.steps, field.node), *_of_other_types(field.node), None]
    return [one for number, one in enumerate(made) if not _among(one, made[:number])]


def _among(one: Any, others: Sequence[Any]) -> bool:
    return any(one == other and type(one) is type(other) for other in others)


def least(node: schema.Node, steps: schema.Steps) -> Any:
    """The least value that is valid: of an object what is required, of anything else the first that is right."""
    if node["type"] == "object":
        inner = node.get("properties", {})
        return {name: least(inner[name], (*steps, name)) for name in node.get("required", ())}
    if node["type"] == "array":
        return [least(node["items"], (*steps, schema.ITEM))]
    return next(one for one in _of_its_type(steps, node) if not schema.wrong(node, one))


def _of_its_type(steps: schema.Steps, node: schema.Node) -> Iterator[Any]:
    match node["type"]:
        case "boolean":
            yield from (True, False)
        case "integer":
            yield from _integers(node)
        case "string":
            yield from _texts(steps, node)
        case "array":
            yield from _lists(steps, node)
        case "object":
            yield from _objects(steps, node)


def _integers(node: schema.Node) -> Iterator[int]:
    low, high = node["minimum"], node["maximum"]
    yield from (low, high, (low + high) // 2, low - 1, high + 1, 2**63 - 1, -(2**31))


def _texts(steps: schema.Steps, node: schema.Node) -> Iterator[str]:
    if "enum" in node:
        yield from (*node["enum"], "NoSuchWord", node["enum"][0].lower(), "")
        return
    own = _TEXTS.get(name_of(steps), ())
    yield from (*own, *_ANY_TEXTS)
    if "maxLength" in node:
        stem = next((one for one in (*own, "a") if not schema.wrong(node, one)), "a")
        tail = stem[-1]
        yield stem + tail * (node["maxLength"] - len(stem))
        yield stem + tail * (node["maxLength"] - len(stem) + 1)


def _lists(steps: schema.Steps, node: schema.Node) -> Iterator[list[Any]]:
    items, most = node["items"], node["maxItems"]
    one = least(items, (*steps, schema.ITEM))
    yield from ([one], [], [one, one])
    several = items.get("enum") or [one] * most
    yield several[:most]
    yield [one] * (most + 1)
    yield from ([None], [5], [[one]])


def _objects(steps: schema.Steps, node: schema.Node) -> Iterator[dict[str, Any]]:
    fine = least(node, steps)
    yield fine
    yield {}
    yield fine | {"colour": "red"}
    for name in node.get("required", ()):
        yield {each: value for each, value in fine.items() if each != name}


def _of_other_types(node: schema.Node) -> Iterator[Any]:
    others = {"object": "text", "array": {}, "string": 5, "integer": "5", "boolean": "true"}
    yield others[node["type"]]
    yield {"string": True, "integer": 1.5, "boolean": 1, "object": [], "array": "text"}[node["type"]]
