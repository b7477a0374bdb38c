"""The modules that are mutated, and the tests that have to notice."""

from __future__ import annotations

import ast
import importlib
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from mutation.mutants import Mutant, find

TREE = Path(__file__).resolve().parents[2]
SOURCES = TREE / "operator" / "whatsapp_operator"

_GUARDS = (
    "fence",
    "calm",
    "treasury",
    "vouching",
    "vouchers",
    "approvals",
    "pausing",
    "standing",
    "warmup",
    "loaded",
    "existence",
    "deletion",
    "planning",
    "steps",
    "requests",
    "sampling",
    "server_restart",
    "tokens",
    "keepsake",
    "owned",
    "finalizers",
    "currency",
    "leadership",
)
_TESTS = {
    "health": ("tests/health",),
    "recovery": ("tests/recovery",),
    "engine": ("tests/engine",),
}


@dataclass(slots=True)
class Target:
    """A module to mutate."""

    name: str
    """Such as `health/rules.py`."""
    listed: frozenset[str] = frozenset()
    """Mutants that are known to be equivalent, and not tried."""
    noticed: frozenset[str] = frozenset()
    """Mutants that an earlier run of the same code has tried."""
    tree: ast.Module = field(default_factory=lambda: ast.Module(body=[], type_ignores=[]))
    module: ModuleType = field(default_factory=lambda: ModuleType(""))
    mutants: list[Mutant] = field(default_factory=list)
    names: frozenset[str] = frozenset()
    """Of all mutants, also of those that are listed."""

    def load(self) -> None:
        """Import it, and find what can be made wrong in it."""
        path = SOURCES / self.name
        self.tree = ast.parse(path.read_text())
        self.module = importlib.import_module(f"whatsapp_operator.{self.name.removesuffix('.py').replace('/', '.')}")
        found = find(self.tree, self.module)
        self.names = frozenset(one.name for one in found)
        self.mutants = [one for one in found if one.name not in self.listed | self.noticed]


def names() -> list[str]:
    """All modules that are mutated."""
    whole = [path for package in ("health", "recovery") for path in sorted((SOURCES / package).glob("*.py"))]
    guards = [SOURCES / "engine" / f"{name}.py" for name in _GUARDS]
    return [str(path.relative_to(SOURCES)) for path in (*whole, *guards) if path.name != "__init__.py"]


def chosen(wanted: str) -> list[str]:
    """Those whose name begins so, or all."""
    return [name for name in names() if name.startswith(wanted)]


def tests_of(name: str) -> tuple[str, ...]:
    """Where the tests are that have to notice."""
    return _TESTS[name.partition("/")[0]]
