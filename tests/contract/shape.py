"""When an answer has the shape of a recorded one.

Keys, types and texts must be equal. Values that every server makes up for itself (ids, tokens, dates, codes) only need
the form of the recorded ones.
"""

import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
VERSIONS = ("2.3.6", "2.3.7")
GENERATED_FORMS = (
    re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    re.compile(r"c[0-9a-z]{24}"),
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
    re.compile(r"2@[A-Za-z0-9+/=]+(,[A-Za-z0-9+/=]+){3}"),
    re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]{100,}"),
    re.compile(r"http://127\.0\.0\.1:\d+/(manager|webhook/meta)"),
)
SERVER_URL = re.compile(r"http://127\.0\.0\.1:\d+")


def records(version: str) -> list[dict[str, Any]]:
    """The recorded exchanges of a version, in order."""
    loaded: list[dict[str, Any]] = json.loads((FOLDER / f"v{version}.json").read_text())
    return loaded


def differences(recorded: Any, answered: Any, *, at: str = "body") -> list[str]:
    """Where an answer differs in shape from the recorded one; empty when it does not."""
    if type(recorded) is not type(answered):
        return [f"{at}: {type(recorded).__name__} became {type(answered).__name__}"]
    if isinstance(recorded, dict):
        return _of_objects(recorded, answered, at=at)
    if isinstance(recorded, list):
        return _of_lists(recorded, answered, at=at)
    if isinstance(recorded, str):
        return _of_texts(recorded, answered, at=at)
    return [] if recorded == answered else [f"{at}: {recorded!r} became {answered!r}"]


def _of_objects(recorded: dict[str, Any], answered: dict[str, Any], *, at: str) -> list[str]:
    if list(recorded) != list(answered):
        return [f"{at}: keys {list(recorded)} became {list(answered)}"]
    return [line for key in recorded for line in differences(recorded[key], answered[key], at=f"{at}.{key}")]


def _of_lists(recorded: list[Any], answered: list[Any], *, at: str) -> list[str]:
    if len(recorded) != len(answered):
        return [f"{at}: {len(recorded)} items became {len(answered)}"]
    ordered = [sorted(each, key=_name) for each in (recorded, answered)]
    pairs = enumerate(zip(*ordered, strict=True))
    return [line for place, (old, new) in pairs for line in differences(old, new, at=f"{at}[{place}]")]


def _name(item: Any) -> str:
    """Rows come in the database's own order, which says nothing."""
    return str(item.get("name", "")) if isinstance(item, dict) else ""


def _of_texts(recorded: str, answered: str, *, at: str) -> list[str]:
    if any(form.fullmatch(recorded) and form.fullmatch(answered) for form in GENERATED_FORMS):
        return []
    if recorded.startswith("{"):
        return differences(json.loads(recorded), json.loads(answered), at=f"{at}(json)")
    old, new = (SERVER_URL.sub("http://server", text) for text in (recorded, answered))
    return [] if old == new else [f"{at}: {old!r} became {new!r}"]
