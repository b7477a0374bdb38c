"""The story live in colour: the acts on one side, the `kubectl get wai --watch` of the same story on the other.

Where the terminal is not wide enough for both they are one below the other, and where it is not high enough for all of
an act, its newest lines are shown.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.align import Align
from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from demonstration import script, telling
from demonstration.performance import Progress

TABLE_WIDTH = 78
"""Columns that `kubectl get wai` needs, with its frame."""
WIDE = 140
"""From here on both fit beside each other."""
LINGER_SECONDS = 3.0
CODE_SECONDS = 5.0
FRAME = 2
READY_STYLES = {"True": "green", "False": "yellow", "Unknown": "magenta"}
SHORTENED = "spans are shortened for the demo, with the defaults this takes minutes; Ctrl-C ends it"


@dataclass(slots=True)
class Scroll:
    """An act as it stands on the screen."""

    act: script.Act
    deeds: list[str] = field(default_factory=list)
    progress: Progress | None = None

    def heading(self, number: int) -> Text:
        """Its title, and how it stands."""
        if self.progress is None or not self.progress.over:
            return Text(f"▶ {number}. {self.act.title}", style="bold cyan")
        mark, style = ("✔", "bold green") if all(self.progress.held) else ("✘", "bold red")
        return Text(f"{mark} {number}. {self.act.title}, {self.progress.scene.seconds:.0f} s", style=style)

    def details(self) -> Sequence[Text]:
        """What was done, what the operator wrote to its audit trail, what it called, and the facts."""
        return [*(Text(f"    {line}", style="white") for line in self.deeds), *self._seen()]

    def _seen(self) -> Iterator[Text]:
        if self.progress is None:
            return
        scene = self.progress.scene
        yield from _labelled("audit", [telling.audit(record) for record in scene.audit], "magenta")
        yield from _labelled("server", telling.calls(scene) or ["no call that changes anything"], "bright_blue")
        for fact, held in zip(self.act.facts, self.progress.held, strict=True):
            yield Text(f"    {'✔' if held else '…'} {fact.sentence}", style="green" if held else "yellow")


def _labelled(label: str, lines: Sequence[str], style: str) -> Iterator[Text]:
    return (Text.assemble((f"    {label:6} ", "dim"), (line, style)) for line in lines)


class Screen:
    """Shows the acts of a story on the whole terminal."""

    def __init__(self, console: Console, live: Live, acts: Sequence[script.Act]) -> None:
        self._console, self._live, self._acts = console, live, acts
        self._scrolls: list[Scroll] = []
        self._watched: Sequence[str] = ()

    def begin(self, act: script.Act) -> None:
        """The act's title becomes the current one."""
        self._scrolls.append(Scroll(act))
        self._refresh()

    def tell(self, lines: Sequence[str]) -> None:
        """What is done stands under the title."""
        self._scrolls[-1].deeds += lines
        self._refresh()

    def look(self, progress: Progress) -> None:
        """Everything is drawn anew; what is over stays for a moment, so that it can be read."""
        self._scrolls[-1].progress = progress
        self._watched = progress.watched
        self._refresh()
        if progress.over:
            time.sleep(LINGER_SECONDS)

    def show_code(self, name: str, code: str) -> None:
        """A QR code for some seconds, where the terminal is large enough for it."""
        width, height = telling.size(code)
        room = self._console.width - (TABLE_WIDTH if self._console.width >= WIDE else 0)
        if width + 2 * FRAME > room or height + FRAME > self._console.height - FRAME:
            self.tell([f"the QR code of {name} ({width} x {height}) needs a larger terminal"])
            return
        picture = Align.center(Text(code, style="white on black"), vertical="middle")
        self._refresh(Panel(picture, title=f"the QR code of {name}, from the Secret {name}-pairing"))
        time.sleep(CODE_SECONDS)

    def recap(self) -> RenderableType:
        """All acts so far, to be printed when the terminal is the user's again."""
        return Group(*(line for index in range(len(self._scrolls)) for line in self._lines(index, full=True)))

    def _refresh(self, instead: RenderableType | None = None) -> None:
        self._live.update(self._layout(instead), refresh=True)

    def _layout(self, instead: RenderableType | None) -> Layout:
        wide = self._console.width >= WIDE
        rows = self._console.height - 1
        table = rows if wide else max(rows // 3, 3 + FRAME)
        story = rows if wide else rows - table
        both = Layout(name="both")
        parts = (
            Layout(instead or self._story(story - FRAME), size=None if wide else story),
            Layout(self._table(table - FRAME), size=TABLE_WIDTH if wide else table),
        )
        (both.split_row if wide else both.split_column)(*parts)
        whole = Layout()
        whole.split_column(both, Layout(Text(SHORTENED, style="dim", no_wrap=True, overflow="ellipsis"), size=1))
        return whole

    def _story(self, rows: int) -> Panel:
        title = f"whatsapp-operator: act {len(self._scrolls)} of {len(self._acts)}"
        return Panel(_clipped(self._fitting(rows)), title=title, border_style="cyan")

    def _fitting(self, rows: int) -> Sequence[Text]:
        """The newest act in full, those before it as far as there is room, and what is to come."""
        last = len(self._scrolls) - 1
        to_come = [Text(f"  {n}. {act.title}", style="dim") for n, act in enumerate(self._acts, 1) if n > last + 1]
        full = set[int]()
        for index in range(last, -1, -1):
            lines = self._told(full | {index})
            if len(lines) + len(to_come) > rows:
                break
            full.add(index)
        if last in full:
            return [*self._told(full), *to_come]
        return self._told({last})[-rows:]

    def _told(self, full: set[int]) -> Sequence[Text]:
        return [line for index in range(len(self._scrolls)) for line in self._lines(index, full=index in full)]

    def _lines(self, index: int, *, full: bool) -> Sequence[Text]:
        scroll = self._scrolls[index]
        return [scroll.heading(index + 1), *(scroll.details() if full else ())]

    def _table(self, rows: int) -> Panel:
        header, *lines = self._watched or [""]
        shown = [Text(header, style="bold"), *(_coloured(line) for line in lines[-(rows - 1) :])]
        return Panel(_clipped(shown), title="kubectl get wai --watch", border_style="blue")


def _coloured(row: str) -> Text:
    columns = row.split()
    return Text(row, style=READY_STYLES.get(columns[1], "dim") if len(columns) > 1 else "dim")


def _clipped(lines: Sequence[Text]) -> Group:
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


@contextlib.contextmanager
def opened(console: Console) -> Iterator[Screen]:
    """A screen for as long as the block lasts; then the terminal is as before, with a recap of what was shown."""
    with Live(console=console, screen=True, auto_refresh=False) as live:
        screen = Screen(console, live, script.ACTS)
        yield screen
    console.print(screen.recap())
