"""The demonstration: `make demo`.

With a terminal it is shown live and stays until Ctrl-C. Without one, or with `CI=true`, the story is played once as
text, and the exit code is 0 only if every act happened.
"""

import os
import signal
import subprocess
import sys
import time

import httpx
from rich.console import Console

from demonstration import farewell, installation, performance, programs, screen, script, stage, transcript
from demonstration.kubectl import KubectlError

INTERRUPTED = 130
POLL_SECONDS = 0.5
FAILURES = (
    stage.StageError,
    installation.OccupiedError,
    performance.PerformanceError,
    programs.ProgramError,
    KubectlError,
    httpx.HTTPError,
    subprocess.SubprocessError,
)


def main() -> int:
    """Plays the story; returns the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # in the background a shell ignores the first
        signal.signal(number, signal.default_int_handler)
    live = sys.stdout.isatty() and os.environ.get("CI") != "true"
    ended = INTERRUPTED
    try:
        with stage.opened(print) as built:
            _play(built, live=live)
            ended = 0
            if live:
                _stay(built)
    except KeyboardInterrupt:
        print("\nStopped; everything that was started is gone.")
    except FAILURES as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return ended


def _play(built: stage.Stage, *, live: bool) -> None:
    began = time.monotonic()
    try:
        if live:
            with screen.opened(Console()) as shown:
                performance.play(built, shown)
        else:
            performance.play(built, transcript.Transcript())
    except performance.PerformanceError:
        print(f"\nThe last lines of {built.operator.log}:\n{built.operator.tail()}", file=sys.stderr)
        raise
    print(f"\nAll {len(script.ACTS)} acts happened, in {time.monotonic() - began:.0f} s.")


def _stay(built: stage.Stage) -> None:
    """Until Ctrl-C, and shows what becomes of what is tried."""
    told = len(built.watched())
    print(farewell.text(built))
    print("$ kubectl get wai --watch\n" + built.kubectl("get", "wai"), end="", flush=True)
    while True:
        lines = built.watched()
        for line in lines[told:]:
            print(line, flush=True)
        told = len(lines)
        built.operator.check()
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
