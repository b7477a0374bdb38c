"""What all models of the custom resources share.

Attributes are snake_case in Python and camelCase in JSON. Models are frozen: a changed one is a copy. Fields that this
version does not know are ignored, since the schema in the cluster may be newer; a value that it does not know is an
error, since acting on half of a wish would be worse than not acting.

Kubernetes writes times in whole seconds. They are cut when they enter a model, so that a status equals what is read
back after it was written.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

import pydantic
from pydantic import json_schema
from pydantic.alias_generators import to_camel
from pydantic_core import core_schema

from whatsapp_operator.resources import rules


def _whole_seconds(moment: datetime) -> datetime:
    return _aware(moment).replace(microsecond=0)


def _whole_milliseconds(moment: datetime) -> datetime:
    return _aware(moment).replace(microsecond=moment.microsecond // 1000 * 1000)


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _writes(timespec: str) -> Callable[[datetime], str]:
    return lambda moment: _aware(moment).replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


Timestamp = Annotated[
    datetime,
    pydantic.AfterValidator(_whole_seconds),
    pydantic.PlainSerializer(_writes("seconds"), return_type=str, when_used="unless-none"),
    pydantic.WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment in UTC, in whole seconds, as the Kubernetes API conventions have it."""

PreciseTimestamp = Annotated[
    datetime,
    pydantic.AfterValidator(_whole_milliseconds),
    pydantic.PlainSerializer(_writes("milliseconds"), return_type=str, when_used="unless-none"),
    pydantic.WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment that the Evolution API gave in milliseconds and that is compared with later ones."""


_FIELDS_GIVEN: dict[frozenset[str], set[str]] = {}


class Model(pydantic.BaseModel):
    """Base of everything in a custom resource; `validations` are checked here and by the API server alike."""

    model_config = pydantic.ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    validations: ClassVar[tuple[rules.Rule, ...]] = ()

    def replace(self, **changes: Any) -> Self:
        """Return a copy with other values for some fields, checked like any new one."""
        return type(self)(**dict(self) | changes)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> json_schema.JsonSchemaValue:
        described = handler.resolve_ref_schema(handler(schema))
        if cls.validations:
            described[rules.VALIDATIONS] = [rule.as_schema() for rule in cls.validations]
        return described

    @pydantic.model_validator(mode="after")
    def _shares_its_memory(self) -> Self:
        """Which fields were given is the same for thousands of models, and a set of them each is most of their size."""
        given = self.__pydantic_fields_set__
        object.__setattr__(self, "__pydantic_fields_set__", _FIELDS_GIVEN.setdefault(frozenset(given), given))
        return self

    @pydantic.model_validator(mode="after")
    def _keeps_rules(self) -> Self:
        for rule in self.validations:
            if not rule.holds(self):
                raise rule.error()
        return self
