"""Lists, whole or in pages: those after the first page show what was there at the version of the first."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from simulation.kubernetes import answers

Body = Mapping[str, Any]


class Lists:
    """The rest of each list whose first page was asked for, by the token that asks for it."""

    def __init__(self) -> None:
        self._rest: dict[str, tuple[int, Sequence[Body]]] = {}
        self._numbers = itertools.count(1)

    def answer(self, found: Iterable[Body], query: Mapping[str, str], *, version: int) -> Body:
        """A page of what is found; or that of an earlier list, where the query goes on with one."""
        if token := query.get("continue", ""):
            if token not in self._rest:
                raise answers.gone()
            version, found = self._rest[token]
        chosen = [one for one in found if _is_selected(one, query.get("labelSelector", ""))]
        limit = int(query.get("limit", 0)) or len(chosen)
        return {"items": chosen[:limit], "metadata": self._metadata(chosen[limit:], version)}

    def _metadata(self, rest: Sequence[Body], version: int) -> Body:
        if not rest:
            return {"resourceVersion": str(version)}
        token = f"{version}-{next(self._numbers)}"
        self._rest[token] = version, rest
        return {"resourceVersion": str(version), "continue": token, "remainingItemCount": len(rest)}


def _is_selected(body: Body, selector: str) -> bool:
    """Of what is selected each label has its value, or is there."""
    labels = body["metadata"].get("labels", {})
    for part in filter(None, selector.split(",")):
        name, sign, value = part.partition("=")
        if labels.get(name) != value if sign else name not in labels:
            return False
    return True
