"""What can be made wrong in a module, one place at a time."""

from __future__ import annotations

import ast
import enum
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

Field = ast.AST | list[Any]

_CONTEXT = 25
"""Characters of the code around a difference that tell where it is."""
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Edit:
    """Puts another node, or another value, into its place in the tree."""

    owner: ast.AST
    field: str
    index: int | None
    new: Any

    def apply(self) -> Any:
        """Do it; returns what was there."""
        if self.index is None:
            before = getattr(self.owner, self.field)
            setattr(self.owner, self.field, self.new)
            return before
        items = getattr(self.owner, self.field)
        before = items[self.index]
        items[self.index] = self.new
        return before

    def undo(self, before: Any) -> None:
        """Put back what was there."""
        Edit(self.owner, self.field, self.index, before).apply()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mutant is: what has to be made anew, and which statement has to be reached."""

    scope: str
    """A function by its qualified name, a name of the module, or the default of a field or argument."""
    kind: Kind
    line: int
    """Of the statement that the mutant is in."""


class Kind(enum.Enum):
    """What a place is part of."""

    FUNCTION = enum.auto()
    NAME = enum.auto()
    DEFAULT = enum.auto()


@dataclass(frozen=True, slots=True)
class Mutant:
    """One thing that is wrong."""

    name: str
    """Stays the same while the code around it does."""
    place: Place
    edit: Edit


def find(tree: ast.Module, module: ModuleType) -> list[Mutant]:
    """All mutants of a module; `module` is the live one, which tells enums from other classes."""
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    seen: Counter[str] = Counter()
    found = []
    for place, root in places(tree):
        for node in _within(root):
            for edit in _edits(node, parents, module, is_table=place.kind is Kind.NAME):
                text = f"{place.scope}: {_told(edit, parents, root)}"
                seen[text] += 1
                name = text if seen[text] == 1 else f"{text} #{seen[text]}"
                found.append(Mutant(name, _narrowed(place, node, parents), edit))
    return found


def places(tree: ast.Module) -> Iterator[tuple[Place, ast.AST]]:
    """Every function, name and default of a module, with the node that makes it."""
    for node in tree.body:
        yield from _place(node, "")


def _place(node: ast.stmt, prefix: str) -> Iterator[tuple[Place, ast.AST]]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield Place(f"{prefix}{node.name}", Kind.FUNCTION, node.lineno), node
            for argument, default in _defaults(node.args):
                yield Place(f"{prefix}{node.name}.{argument}", Kind.DEFAULT, node.lineno), default
        case ast.ClassDef():
            for inner in node.body:
                yield from _place(inner, f"{prefix}{node.name}.")
        case (
            ast.AnnAssign(target=ast.Name(id=name), value=ast.expr())
            | ast.Assign(targets=[ast.Name(id=name)], value=ast.expr())
        ):
            if not prefix and isinstance(node.value, ast.Subscript):
                return  # the name of a type
            if prefix and isinstance(node.value, ast.Call) and _called(node.value) == "field":
                return  # what it makes of its arguments is the data class's
            kind = Kind.DEFAULT if prefix else Kind.NAME
            yield Place(f"{prefix}{name}", kind, node.lineno), node


def _defaults(arguments: ast.arguments) -> Iterator[tuple[str, ast.expr]]:
    named = [*arguments.posonlyargs, *arguments.args]
    yield from zip((one.arg for one in named[len(named) - len(arguments.defaults) :]), arguments.defaults, strict=True)
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is not None:
            yield one.arg, default


def _narrowed(place: Place, node: ast.AST, parents: dict[ast.AST, ast.AST]) -> Place:
    """Only the statement that the mutant is in has to be reached."""
    if place.kind is not Kind.FUNCTION:
        return place
    while not isinstance(node, ast.stmt):
        node = parents[node]
    return Place(place.scope, place.kind, node.lineno)


_NOT_CODE = frozenset({"annotation", "returns", "decorator_list", "args", "type_params"})


def _within(root: ast.AST) -> Iterator[ast.AST]:
    """The nodes that are carried out: no annotations, no decorators, no signatures, no docstrings."""
    yield root
    for name, value in ast.iter_fields(root):
        if name in _NOT_CODE and not isinstance(root, ast.Call):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_text(child):
                yield from _within(child)


def _is_text(node: ast.AST) -> bool:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return docstring or isinstance(node, ast.JoinedStr)


# What is made wrong

_ORDER: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_OTHER_FUNCTION = {"min": "max", "max": "min", "any": "all", "all": "any"}


def _edits(node: ast.AST, parents: dict[ast.AST, ast.AST], module: ModuleType, *, is_table: bool) -> Iterator[Edit]:
    for operator in _OPERATORS:
        yield from operator(node)
    yield from _in_place(node, parents, _other_member(node, module))
    yield from _in_place(node, parents, _condition_turned(node, parents))
    yield from _in_place(node, parents, _without_not(node))
    if is_table or isinstance(node, ast.Set):
        yield from _other_table(node, parents)
    yield from _statement_left_out(node, parents)


def _in_place(node: ast.AST, parents: dict[ast.AST, ast.AST], new: ast.AST | None) -> Iterator[Edit]:
    """Another node in the place of this one."""
    owner = parents.get(node)
    if new is None or owner is None:
        return
    for name, value in ast.iter_fields(owner):
        if value is node:
            yield Edit(owner, name, None, ast.copy_location(new, node))
        elif isinstance(value, list) and any(one is node for one in value):
            yield Edit(owner, name, [one is node for one in value].index(True), ast.copy_location(new, node))


def _comparison(node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            for other in _ORDER[type(operator)]:
                yield Edit(node, "ops", index, other())


def _operand_left_out(node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.BoolOp):
        for index in range(len(node.values)):
            neutral = ast.Constant(value=isinstance(node.op, ast.And))
            yield Edit(node, "values", index, ast.copy_location(neutral, node.values[index]))


def _constant(node: ast.AST) -> Iterator[Edit]:
    if not isinstance(node, ast.Constant):
        return
    if isinstance(node.value, bool):
        yield Edit(node, "value", None, not node.value)
    elif isinstance(node.value, int | float):
        yield Edit(node, "value", None, node.value + 1)


def _arithmetic(node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _ARITHMETIC:
        yield Edit(node, "op", None, _ARITHMETIC[type(node.op)]())


def _function(node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _OTHER_FUNCTION:
        yield Edit(node.func, "id", None, _OTHER_FUNCTION[node.func.id])


def _change_left_out(node: ast.AST) -> Iterator[Edit]:
    """`replace(value, name=...)` without one of its changes."""
    if isinstance(node, ast.Call) and _called(node) == "replace":
        for index in range(len(node.keywords)):
            yield Edit(node, "keywords", None, node.keywords[:index] + node.keywords[index + 1 :])


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _nothing_returned(node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
        yield Edit(node, "value", None, ast.copy_location(ast.Constant(value=None), node.value))


_OPERATORS: tuple[Callable[[ast.AST], Iterator[Edit]], ...] = (
    _comparison,
    _operand_left_out,
    _constant,
    _arithmetic,
    _function,
    _change_left_out,
    _nothing_returned,
)


def _other_member(node: ast.AST, module: ModuleType) -> ast.AST | None:
    """The next member of the same enum."""
    if not isinstance(node, ast.Attribute) or not node.attr.isupper():
        return None
    try:
        holder = eval(ast.unparse(node.value), dict(vars(module)))  # noqa: S307 - a name in our own code
    except (AttributeError, NameError):
        return None
    if not (isinstance(holder, type) and issubclass(holder, enum.Enum)):
        return None
    names = list(holder.__members__)
    other = names[(names.index(node.attr) + 1) % len(names)]
    return ast.Attribute(value=node.value, attr=other, ctx=node.ctx)


def _condition_turned(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> ast.AST | None:
    """The other branch, where the condition is neither compared nor combined."""
    owner = parents.get(node)
    is_condition = isinstance(owner, ast.If | ast.While | ast.IfExp) and owner.test is node
    is_filter = isinstance(owner, ast.comprehension) and any(one is node for one in owner.ifs)
    plain = not isinstance(node, ast.Compare | ast.BoolOp | ast.Constant) and not _is_negation(node)
    if not (is_condition or is_filter) or not plain or not isinstance(node, ast.expr):
        return None
    return ast.UnaryOp(op=ast.Not(), operand=node)


def _is_negation(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _without_not(node: ast.AST) -> ast.AST | None:
    return node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) else None


def _other_table(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> Iterator[Edit]:
    """One entry less; of a sequence also two neighbours in the other order."""
    if isinstance(node, ast.Dict):
        for index in range(len(node.keys)):
            fewer = ast.Dict(keys=_without(node.keys, index), values=_without(node.values, index))
            yield from _in_place(node, parents, fewer)
    elif isinstance(node, ast.Set | ast.Tuple | ast.List) and len(node.elts) > 1:
        for index in range(len(node.elts)):
            yield Edit(node, "elts", None, _without(node.elts, index))
        if isinstance(node, ast.Tuple):
            for index in range(len(node.elts) - 1):
                elements = list(node.elts)
                elements[index : index + 2] = elements[index + 1], elements[index]
                yield Edit(node, "elts", None, elements)


def _without(items: list[Any], index: int) -> list[Any]:
    return items[:index] + items[index + 1 :]


def _statement_left_out(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> Iterator[Edit]:
    match node:
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Raise() | ast.Return(value=None):
            yield from _in_place(node, parents, ast.Pass())
        case ast.Continue() | ast.Break() | ast.AugAssign():
            yield from _in_place(node, parents, ast.Pass())
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]):
            yield from _in_place(node, parents, ast.Pass())


# How it is told


def _told(edit: Edit, parents: dict[ast.AST, ast.AST], root: ast.AST) -> str:
    """What differs, with a little of the code around it."""
    shown = edit.owner
    while not isinstance(shown, ast.stmt) and shown is not root and shown in parents:
        shown = parents[shown]
    before = _text(shown)
    old = edit.apply()
    after = _text(shown)
    edit.undo(old)
    return _difference(before, after)


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        node = ast.Module(body=node.body, type_ignores=[])
    return " ".join(ast.unparse(ast.fix_missing_locations(node)).split())


def _difference(before: str, after: str) -> str:
    shorter = min(len(before), len(after))
    begin = next((at for at in range(shorter) if before[at] != after[at]), shorter)
    rest = shorter - begin
    end = next((at for at in range(rest) if before[-1 - at] != after[-1 - at]), rest)
    # Whole words, so that it can be read.
    first = before.rfind(" ", 0, max(begin - _CONTEXT, 0)) + 1
    rest_of_it = before[len(before) - end :]
    last = rest_of_it.find(" ", _CONTEXT)
    kept = end - last if last >= 0 else 0
    return f"{_cut(before[first : len(before) - kept])} => {_cut(after[first : len(after) - kept])}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
