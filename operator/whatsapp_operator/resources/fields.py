"""Kinds of values that several fields have, each with its bounds."""

from __future__ import annotations

from typing import Annotated

import pydantic

from whatsapp_operator.resources import rules

Seconds = Annotated[int, pydantic.Field(ge=1, le=604_800)]
"""A span in seconds; 1 is allowed everywhere, so that tests need not wait."""

ObjectName = Annotated[
    str,
    pydantic.Field(min_length=1, max_length=253),
    rules.Matches(
        r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
        "must be the name of a Kubernetes object: lower-case letters, digits, '-' and '.' only",
    ),
]

NamespaceName = Annotated[
    str,
    pydantic.Field(min_length=1, max_length=63),
    rules.Matches(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "must be the name of a namespace: lower-case letters, digits and '-' only",
    ),
]

SecretKey = Annotated[
    str,
    pydantic.Field(min_length=1, max_length=253),
    rules.Matches(r"^[-._a-zA-Z0-9]+$", "must be a key of a Secret: letters, digits, '-', '_' and '.' only"),
]

RequestToken = Annotated[str, pydantic.Field(max_length=253)]
"""The value of a request annotation; longer ones are not requests."""
