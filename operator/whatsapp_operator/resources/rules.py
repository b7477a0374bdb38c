"""Rules on values, said once: the API server checks them as CEL at `kubectl apply`, the operator checks them as Python.

The operator checks again because the schema in the cluster may be older than itself. Each message names what is wrong
and how to put it right; the API server and the operator put the field's path before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pydantic
import pydantic_core
from pydantic import json_schema
from pydantic_core import core_schema

VALIDATIONS = "x-kubernetes-validations"
BROKEN_RULE = "broken_rule"
"""The type of pydantic's errors that come from here."""


def _always(_: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Rule:
    """One validation of an object.

    Rules that compare with `oldSelf` can be checked by the API server only: their `holds` is always true.
    """

    cel: str
    message: str
    field_path: str = ""
    reason: str = "FieldValueInvalid"
    holds: Callable[[Any], bool] = _always

    def as_schema(self) -> dict[str, str]:
        """As an item of `x-kubernetes-validations`."""
        item = {"rule": self.cel, "message": self.message, "reason": self.reason}
        return item | ({"fieldPath": self.field_path} if self.field_path else {})

    def error(self) -> pydantic_core.PydanticCustomError:
        """As an error of pydantic, which says where the checked object stands."""
        return pydantic_core.PydanticCustomError(
            BROKEN_RULE, "{message}", {"message": self.message, "field_path": self.field_path}
        )


def immutable(field: str, cure: str) -> Rule:
    """Forbid to change, add or remove a field of the object that carries the rule.

    A rule on the field itself would not see it removed and added again: `oldSelf` does not exist then.
    """
    both = f"has(self.{field}) && has(oldSelf.{field}) && self.{field} == oldSelf.{field}"
    neither = f"!has(self.{field}) && !has(oldSelf.{field})"
    return Rule(
        cel=f"({both}) || ({neither})",
        message=f"cannot be changed, added or removed after creation: {cure}",
        field_path=f".{field}",
        reason="FieldValueForbidden",
    )


@dataclass(frozen=True, slots=True)
class Matches:
    """Annotation of a string that must, or with `unless` must not, match a pattern (RE2 and Python alike)."""

    pattern: str
    message: str
    unless: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: pydantic.GetCoreSchemaHandler) -> Any:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> json_schema.JsonSchemaValue:
        described = dict(handler(schema))
        described[VALIDATIONS] = [*described.get(VALIDATIONS, []), self._as_rule().as_schema()]
        return described

    def _as_rule(self) -> Rule:
        pattern = self.pattern.replace("\\", "\\\\").replace("'", "\\'")
        return Rule(cel=f"{'!' if self.unless else ''}self.matches('{pattern}')", message=self.message)

    def _check(self, value: str) -> str:
        if bool(re.search(self.pattern, value)) is self.unless:
            raise self._as_rule().error()
        return value
