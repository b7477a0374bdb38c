"""Makes a mutant of what this process has imported already, so that nothing has to be imported again.

A function gets other code, which all who know it carry out. A name of the module is evaluated anew, with the names
that are made of it, and put wherever it was imported. The default of a field or argument is set on the function.
"""

from __future__ import annotations

import ast
import copy
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType, ModuleType
from typing import Any

from mutation.mutants import Kind, Mutant, places


def install(mutant: Mutant, tree: ast.Module, module: ModuleType) -> None:
    """Make the change; the tree and the module keep it.

    Raises:
        Exception: whatever evaluating it raises; such a module could not even be imported.
    """
    mutant.edit.apply()
    ast.fix_missing_locations(tree)
    scope = mutant.place.scope
    match mutant.place.kind:
        case Kind.FUNCTION:
            _function(module, scope).__code__ = _code(compile(tree, module.__file__ or "", "exec"), scope)
        case Kind.NAME:
            _name(module, tree, scope)
        case Kind.DEFAULT:
            _default(module, tree, scope)


@contextmanager
def reached(tree: ast.Module, module: ModuleType) -> Iterator[set[int]]:
    """While this lasts, the functions of a module note the lines of the statements that they carry out."""
    lines = set[int]()
    vars(module)[_NOTE] = lines.add
    noting = compile(ast.fix_missing_locations(_Noting().visit(copy.deepcopy(tree))), module.__file__ or "", "exec")
    scopes = [place.scope for place, _ in places(tree) if place.kind is Kind.FUNCTION]
    before = {scope: _function(module, scope).__code__ for scope in scopes}
    for scope in scopes:
        _function(module, scope).__code__ = _code(noting, scope)
    try:
        yield lines
    finally:
        for scope, code in before.items():
            _function(module, scope).__code__ = code


_NOTE = "__reached_by_a_test__"


class _Noting(ast.NodeTransformer):
    """Puts a note before each statement of each function."""

    def __init__(self) -> None:
        self._within = 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: ast.AST) -> ast.AST:
        self._within += 1
        self.generic_visit(node)
        self._within -= 1
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Visit what is within, and put notes into its lists of statements."""
        super().generic_visit(node)
        for name, value in ast.iter_fields(node):
            is_body = isinstance(value, list) and value and isinstance(value[0], ast.stmt)
            if is_body and self._within and not isinstance(node, ast.ClassDef):
                setattr(node, name, [one for statement in value for one in (_note(statement), statement)])
        return node


def _note(statement: ast.stmt) -> ast.stmt:
    call = ast.Call(ast.Name(_NOTE, ast.Load()), [ast.Constant(statement.lineno)], [])
    return ast.copy_location(ast.Expr(call), statement)


def _code(within: CodeType, scope: str) -> CodeType:
    found = _search(within, scope)
    if found is None:
        raise LookupError(scope)
    return found


def _search(within: CodeType, scope: str) -> CodeType | None:
    for one in within.co_consts:
        if isinstance(one, CodeType):
            found = one if one.co_qualname == scope else _search(one, scope)
            if found is not None:
                return found
    return None


def _function(module: ModuleType, scope: str) -> FunctionType:
    holder: Any = module
    for part in scope.split("."):
        holder = vars(holder)[part]
    found: Any = holder.fget if isinstance(holder, property) else getattr(holder, "__func__", holder)
    function = inspect.unwrap(found)
    if not isinstance(function, FunctionType):
        raise TypeError(scope)
    return function


def _name(module: ModuleType, tree: ast.Module, changed: str) -> None:
    """The name, and all that the module makes of it while it is imported."""
    stale = {changed}
    for name, value in _assignments(tree):
        mentioned = {one.id for one in ast.walk(value) if isinstance(one, ast.Name)}
        if name == changed or mentioned & stale:
            stale.add(name)
            _put(module, name, _evaluated(value, module))


def _assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value


def _put(module: ModuleType, name: str, value: object) -> None:
    old = vars(module)[name]
    for one in list(sys.modules.values()):
        if one is module or (getattr(one, "__dict__", {}).get(name, sys) is old and _knows(one, module)):
            vars(one)[name] = value


def _knows(other: ModuleType, module: ModuleType) -> bool:
    """Whether the same name there is no accident, as it can be with numbers."""
    source = getattr(other, "__file__", None)
    return isinstance(source, str) and source.endswith(".py") and module.__name__.rpartition(".")[2] in _text(source)


def _text(source: str) -> str:
    with open(source, encoding="utf-8") as file:  # noqa: PTH123 - called for each module
        return file.read()


def _evaluated(value: ast.expr, module: ModuleType) -> object:
    expression = ast.fix_missing_locations(ast.Expression(body=value))
    return eval(compile(expression, module.__file__ or "", "eval"), vars(module))  # noqa: S307 - our own code


def _default(module: ModuleType, tree: ast.Module, scope: str) -> None:
    holder, _, name = scope.rpartition(".")
    owner: Any = module
    for part in holder.split("."):
        owner = vars(owner)[part]
    value = _evaluated(_default_of(tree, scope), module)
    if isinstance(owner, type):
        if not hasattr(owner, "__dataclass_fields__"):
            setattr(owner, name, value)
            return
        _set_default(vars(owner)["__init__"], name, value)
        return
    _set_default(_function(module, holder), name, value)


def _default_of(tree: ast.Module, scope: str) -> ast.expr:
    for place, node in places(tree):
        if place.kind is Kind.DEFAULT and place.scope == scope:
            value = getattr(node, "value", node) if isinstance(node, ast.stmt) else node
            assert isinstance(value, ast.expr)  # noqa: S101 - `places` gives no others
            return value
    raise LookupError(scope)


def _set_default(function: Any, name: str, value: object) -> None:
    parameters = inspect.signature(function).parameters
    if parameters[name].kind is inspect.Parameter.KEYWORD_ONLY:
        function.__kwdefaults__ = {**(function.__kwdefaults__ or {}), name: value}
        return
    named = [one for one in parameters.values() if one.kind is not inspect.Parameter.KEYWORD_ONLY]
    optional = [one.name for one in named if one.default is not inspect.Parameter.empty]
    defaults = list(function.__defaults__ or ())
    defaults[optional.index(name)] = value
    function.__defaults__ = tuple(defaults)
