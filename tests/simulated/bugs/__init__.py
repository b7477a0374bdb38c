"""Bugs of the kinds that operators really had, each a small change of the operator's own code for the time of a run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

Sabotage = Callable[[], AbstractContextManager[Any]]
