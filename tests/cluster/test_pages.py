"""Pages of a LIST: what is as it was is not parsed, and still is what it is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatsapp_operator.cluster import pages
from whatsapp_operator.engine import ports


def resource(name: str, version: int, **more: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": name, "resourceVersion": str(version)}, **more}


def text(*resources: dict[str, Any], following: str = "", version: int = 0) -> str:
    metadata = {"continue": following, "resourceVersion": str(version)}
    return json.dumps({"apiVersion": "v1", "items": resources, "kind": "List", "metadata": metadata})


def told(page: pages.Page) -> list[tuple[str, int]]:
    return [(one.key.name, one.version) for one in page.resources]


def test_page_tells_key_version_body_and_what_asks_for_the_next() -> None:
    page = pages.Pages().read(text(resource("a", 1, spec={"x": 1}), resource("b", 2), following="more"), number=0)

    assert [one.key for one in page.resources] == [ports.Key("shop", "a"), ports.Key("shop", "b")]
    assert [one.version for one in page.resources] == [1, 2]
    assert page.resources[0].body()["spec"] == {"x": 1}
    assert page.following == "more"


def test_body_of_a_resource_that_is_as_it_was_is_to_be_had_all_the_same() -> None:
    known = pages.Pages()
    known.read(text(resource("a", 1, spec={"x": 1}), resource("b", 2)), number=0)

    page = known.read(text(resource("a", 1, spec={"x": 1}), resource("b", 3), version=9), number=0)

    assert told(page) == [("a", 1), ("b", 3)]
    assert page.resources[0].body() == resource("a", 1, spec={"x": 1})


def test_resources_that_are_as_they_were_are_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    known, parsed = pages.Pages(), list[str]()

    def version_of(body: dict[str, Any]) -> int:
        parsed.append(body["metadata"]["name"])
        return 1

    monkeypatch.setattr(ports, "version_of", version_of)
    known.read(text(resource("a", 1), resource("b", 1), resource("c", 1)), number=0)
    parsed.clear()

    known.read(text(resource("a", 1), resource("b", 2), resource("c", 1), version=5), number=0)

    assert parsed == ["b"]


def test_pages_that_there_are_no_more_are_forgotten() -> None:
    known = pages.Pages()
    known.read(text(resource("a", 1), following="more"), number=0)
    known.read(text(resource("b", 1)), number=1)
    known.read(text(resource("a", 1)), number=0)

    assert told(known.read(text(resource("b", 1)), number=1)) == [("b", 1)]


@pytest.mark.parametrize(
    "broken", ["", "[]", "{", "{}", '{"items": null}', '{"items": [1]}', '{"items": []} x', "<html>"]
)
def test_what_is_no_list_is_not_taken_for_an_empty_one(broken: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        pages.Pages().read(broken, number=0)


LISTS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(1, 3)), max_size=6, unique_by=lambda one: one[0]
)  # fmt: skip


@given(lists=st.lists(LISTS, min_size=2, max_size=4))
def test_list_that_comes_again_is_what_it_is_now_whatever_it_was(lists: list[list[tuple[str, int]]]) -> None:
    known = pages.Pages()

    for version, each in enumerate(lists):
        bodies = [resource(name, number) for name, number in each]
        page = known.read(text(*bodies, version=version), number=0)
        assert told(page) == each
        assert [one.body() for one in page.resources] == bodies
