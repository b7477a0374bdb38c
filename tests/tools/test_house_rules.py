"""Rules of the house that no linter knows."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
SOURCE_ROOT = TREE / "operator"
TIMELESS = ("engine", "health", "recovery")
"""Packages in which clock and sleep are injected, so that they run on simulated time."""
CLOCKS = {("asyncio", "sleep"), ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
LONGEST_FUNCTION = 40
LONGEST_MODULE = 400


def modules(folder: Path = SOURCE_ROOT) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def attributes(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """Each `owner.name` in the tree, by the last two words of it, and its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            yield owner, node.attr, node.lineno


def imports(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """Each name that is imported from somewhere, its module first, and its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "", node.lineno) for alias in node.names)


def clock_uses(text: str) -> list[int]:
    """The lines of a module that read a clock or sleep."""
    tree = ast.parse(text)
    used = {line for owner, name, line in attributes(tree) if owner == "time" or (owner, name) in CLOCKS}
    used |= {line for module, name, line in imports(tree) if module == "time" or (module, name) in CLOCKS}
    return sorted(used)


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio\nasync def f(): await asyncio.sleep(1)",
        "from asyncio import sleep",
        "import time",
        "from time import monotonic",
        "import datetime\nx = datetime.datetime.now(datetime.UTC)",
        "from datetime import datetime\nx = datetime.now()",
    ],
)
def test_direct_use_of_a_clock_is_found(text: str) -> None:
    assert clock_uses(text)


def test_injected_clock_is_not_taken_for_a_direct_use() -> None:
    assert not clock_uses("async def f(clock):\n    clock.now()\n    await clock.sleep(1)\n    clock.time()")


@pytest.mark.parametrize("package", TIMELESS)
def test_package_uses_no_clock_of_its_own(package: str) -> None:
    found = {
        f"{path.relative_to(TREE)}:{line}"
        for path in modules(SOURCE_ROOT / "whatsapp_operator" / package)
        for line in clock_uses(path.read_text())
    }
    assert not found


def test_source_root_is_no_package() -> None:
    """As a package it would shadow the standard library's `operator`, and Python would not start."""
    assert modules()
    assert not (SOURCE_ROOT / "__init__.py").exists()


def test_no_module_is_too_long_to_be_read_at_once() -> None:
    lengths = {str(path.relative_to(TREE)): len(path.read_text().splitlines()) for path in modules()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_no_function_is_too_long_to_be_seen_whole() -> None:
    functions = (
        (path, node)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    lengths = {
        f"{path.relative_to(TREE)}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path, node in functions
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}
