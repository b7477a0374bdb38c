"""The mutation testing: what it makes wrong, that it is wrong then, and that it is put back."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mutation import install, memory, mutants, targets

SOURCE = '''
import enum
from dataclasses import dataclass, replace


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


FEW, MANY = 1, 2
LIMIT = 3
TABLE = (Colour.RED, Colour.BLUE)
TWICE = LIMIT * 2


@dataclass(frozen=True)
class Thing:
    size: int = 5
    colour: Colour = Colour.RED

    @property
    def is_big(self) -> bool:
        return self.size >= LIMIT

    def grown(self, by: int = 1) -> "Thing":
        """Not a mutant: a text."""
        if self.size and not self.is_big:
            return replace(self, size=self.size + by, colour=Colour.BLUE)
        return self


def note(into: list[int]) -> None:
    into.append(1)
'''


@pytest.fixture
def module(tmp_path: Path) -> Iterator[ModuleType]:
    """A module that was imported before it is made wrong."""
    one = ModuleType("made_wrong")
    one.__file__ = str(tmp_path / "made_wrong.py")
    sys.modules[one.__name__] = one
    exec(compile(SOURCE, one.__file__, "exec"), vars(one))  # noqa: S102 - the text above
    yield one
    del sys.modules[one.__name__]


def wrong(module: ModuleType, name: str) -> Any:
    """The module with the mutant of this name."""
    tree = ast.parse(SOURCE)
    found = {one.name: one for one in mutants.find(tree, module)}
    assert name in found, "\n".join(found)
    install.install(found[name], tree, module)
    return module


def test_comparison_in_a_property_is_made_wrong(module: ModuleType) -> None:
    made: Any = module
    thing = made.Thing(size=3)
    assert thing.is_big

    wrong(module, "Thing.is_big: return self.size >= LIMIT => return self.size > LIMIT")

    assert not thing.is_big


def test_change_is_left_out(module: ModuleType) -> None:
    made = wrong(
        module,
        "Thing.grown: replace(self, size=self.size + by, colour=Colour.BLUE) => replace(self, size=self.size + by)",
    )

    assert made.Thing(size=1).grown() == made.Thing(size=2)


def test_statement_is_left_out(module: ModuleType) -> None:
    noted: list[int] = []

    wrong(module, "note: into.append(1) => pass").note(noted)

    assert noted == []


def test_table_loses_an_entry_wherever_it_was_imported(module: ModuleType) -> None:
    made = wrong(module, "TABLE: TABLE = (Colour.RED, Colour.BLUE) => TABLE = (Colour.BLUE,)")

    assert made.TABLE == (made.Colour.BLUE,)


def test_what_is_made_of_a_constant_changes_with_it(module: ModuleType) -> None:
    made = wrong(module, "LIMIT: LIMIT = 3 => LIMIT = 4")

    assert (made.LIMIT, made.TWICE) == (4, 8)


def test_defaults_of_fields_and_arguments_are_made_wrong(module: ModuleType) -> None:
    made = wrong(module, "Thing.size: size: int = 5 => size: int = 6")
    wrong(module, "Thing.grown.by: 1 => 2")

    assert made.Thing().size == 6
    assert made.Thing(size=1).grown().size == 3


def test_texts_and_annotations_are_left_alone(module: ModuleType) -> None:
    names = [one.name for one in mutants.find(ast.parse(SOURCE), module)]

    assert not [name for name in names if "Not a mutant" in name or "list[int]" in name]
    assert len(names) == len(set(names))


def test_statements_that_are_carried_out_are_noted_and_only_while_it_is_asked_for(module: ModuleType) -> None:
    made: Any = module
    tree = ast.parse(SOURCE)
    lines = SOURCE.splitlines()

    with install.reached(tree, module) as reached:
        made.Thing(size=1).grown()
    made.note([])

    told = [lines[line - 1].strip() for line in sorted(reached)]
    assert told[0] == "return self.size >= LIMIT"
    assert told[-1].startswith("return replace(")
    assert "into.append(1)" not in told
    assert "return self" not in told


def test_what_was_noticed_is_remembered_for_the_module_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_FOLDER", tmp_path / "cache")
    monkeypatch.setattr(memory, "SOURCES", tmp_path)
    (tmp_path / "rules.py").write_text("LIMIT = 3")
    memory.note("rules.py", "LIMIT: 3 => 4")
    assert memory.noticed("rules.py") == {"LIMIT: 3 => 4"}

    (tmp_path / "rules.py").write_text("LIMIT = 5")
    assert memory.noticed("rules.py") == frozenset()


def test_every_module_of_the_rules_is_mutated() -> None:
    assert {"health/rules.py", "recovery/gates.py", "engine/fence.py"} <= set(targets.names())
    assert targets.chosen("health") == [name for name in targets.names() if name.startswith("health/")]
    assert targets.tests_of("engine/fence.py") == ("tests/engine",)
