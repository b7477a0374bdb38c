"""Within one pytest session: which tests reach which lines, and then each mutant in a fork of its own.

Nothing is imported or collected again for a mutant, so that one costs as much as the tests that it needs. The quickest
come first, and the first that fails ends it. A mutant that takes far longer than the code as it is counts as found.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from mutation import memory
from mutation.install import install, reached
from mutation.mutants import Kind, Mutant
from mutation.targets import Target

_TIMES_AS_LONG = 20
_AT_LEAST_SECONDS = 15.0


@dataclass(slots=True)
class Survey:
    """What the tests do without a mutant."""

    reached: dict[str, dict[int, set[int]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    """By module, and the line of a statement: the numbers of the tests."""
    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def dumps(self) -> str:
        """As text."""
        reached = {name: {line: sorted(found) for line, found in lines.items()} for name, lines in self.reached.items()}
        return json.dumps({"reached": reached, "seconds": self.seconds})

    @classmethod
    def loads(cls, text: str) -> Survey:
        """From its text; only one without failures is ever kept."""
        body, found = json.loads(text), cls()
        found.seconds = body["seconds"]
        for name, lines in body["reached"].items():
            found.reached[name].update({int(line): set(numbers) for line, numbers in lines.items()})
        return found

    def of(self, target: Target, mutant: Mutant, *, seconds: float) -> list[int]:
        """The tests that reach a mutant, the quickest first, as many as take so long without one."""
        if mutant.place.kind is Kind.FUNCTION:
            found = self.reached[target.name][mutant.place.line]
        else:
            found = set(range(len(self.seconds)))  # whoever reads it need not carry out anything of the module
        return self._affordable(sorted(found, key=lambda number: self.seconds[number]), seconds)

    def _affordable(self, numbers: Iterable[int], left: float) -> list[int]:
        found = []
        for number in numbers:
            left -= self.seconds[number]
            if left < 0:
                break
            found.append(number)
        return found


class Plugin:
    """Takes the place of pytest's own loop over the tests."""

    def __init__(
        self, targets: Sequence[Target], *, jobs: int, seconds: float, told: Callable[[Target, Mutant, bool], None]
    ) -> None:
        self._targets, self._jobs, self._seconds, self._told = targets, jobs, seconds, told
        self._has_failed = False
        self._running: dict[int, tuple[Target, Mutant]] = {}
        self.survey = Survey()

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Say nothing of single tests: what matters is told of mutants."""
        config.pluginmanager.unregister(name="terminalreporter")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Survey, then mutate."""
        for target in self._targets:
            target.load()
        self._survey_once(session.items)
        # Objects that are never freed are not counted anew in each fork, which would copy the memory they are in.
        gc.collect()
        gc.freeze()
        if not self.survey.failed:
            for target, mutant in self._mutants():
                self._start(session, target, mutant)
            while self._running:
                self._reap()
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hear of a failure."""
        self._has_failed = self._has_failed or report.failed

    def _mutants(self) -> Iterator[tuple[Target, Mutant]]:
        for target in self._targets:
            for mutant in target.mutants:
                yield target, mutant

    def _survey_once(self, items: Sequence[pytest.Item]) -> None:
        """What the same tests did with the same code is known from an earlier run."""
        tests = [item.nodeid for item in items]
        known = memory.survey([one.name for one in self._targets], tests)
        if known is not None:
            self.survey = Survey.loads(known)
            return
        self._survey(items)
        if not self.survey.failed:
            memory.keep_survey([one.name for one in self._targets], tests, self.survey.dumps())

    def _survey(self, items: Sequence[pytest.Item]) -> None:
        with ExitStack() as stack:
            notes = {one.name: stack.enter_context(reached(one.tree, one.module)) for one in self._targets}
            for number, item in enumerate(items):
                self._has_failed, began = False, time.perf_counter()
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                self.survey.seconds.append(time.perf_counter() - began)
                if self._has_failed:
                    self.survey.failed.append(item.nodeid)
                for name, lines in notes.items():
                    for line in lines:
                        self.survey.reached[name][line].add(number)
                    lines.clear()

    def _start(self, session: pytest.Session, target: Target, mutant: Mutant) -> None:
        numbers = self.survey.of(target, mutant, seconds=self._seconds)
        if not numbers:
            self._told(target, mutant, False)
            return
        while len(self._running) >= self._jobs:
            self._reap()
        child = os.fork()
        if child == 0:
            os._exit(self._live(session, target, mutant, numbers))
        self._running[child] = target, mutant

    def _reap(self) -> None:
        child, status = os.wait()
        target, mutant = self._running.pop(child)
        self._told(target, mutant, status != 0)

    def _live(self, session: pytest.Session, target: Target, mutant: Mutant, numbers: Sequence[int]) -> int:
        """In the fork: 0 where no test noticed."""
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        try:
            install(mutant, target.tree, target.module)
            return int(self._fails(session, numbers))
        except BaseException:  # noqa: BLE001 - what cannot be imported or ends the process was noticed
            return 1

    def _fails(self, session: pytest.Session, numbers: Sequence[int]) -> bool:
        self._has_failed = False
        for number in numbers:
            most = _AT_LEAST_SECONDS + _TIMES_AS_LONG * self.survey.seconds[number]
            # Neither signal is caught: the process ends by it, and that counts as noticed.
            signal.setitimer(signal.ITIMER_PROF, most)
            signal.setitimer(signal.ITIMER_REAL, 4 * most)
            item = session.items[number]
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if self._has_failed:
                return True
        return False
