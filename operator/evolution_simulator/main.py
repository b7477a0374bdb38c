"""`evolution-simulator`: the simulated server as a process of its own."""

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from collections.abc import Sequence

from aiohttp import web

from evolution_simulator import clock, control, listener, population, realtime, version, world


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="evolution-simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="the Evolution API's port; 0 chooses one")
    parser.add_argument("--control-port", type=int, default=0, help="the control API's port; 0 chooses one")
    parser.add_argument("--api-key", required=True, help="the global key")
    parser.add_argument("--version", choices=sorted(version.VERSIONS), default="2.3.7", help="default: %(default)s")
    parser.add_argument("--client-name", default=world.DEFAULT_CLIENT_NAME, help="DATABASE_CONNECTION_CLIENT_NAME")
    parser.add_argument("--server-url", help="SERVER_URL as the answers show it (default: the address listened on)")
    parser.add_argument("--no-metrics", action="store_true", help="no /metrics, as with PROMETHEUS_METRICS off")
    parser.add_argument("--metrics-auth", metavar="USER:PASSWORD", help="what /metrics asks for; ':' is not configured")
    parser.add_argument("--auto-scan", type=float, metavar="SECONDS", help="scan each QR code this long after it shows")
    parser.add_argument("--instances", type=int, default=0, help="open instances to begin with")
    parser.add_argument(
        "--clock", choices=("real", "driven"), default="real", help="driven: only the control API moves it"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster than real the real clock runs")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")
    return parser.parse_args(argv)


class Simulator:
    """A world, its port, and its control port."""

    def __init__(self, options: argparse.Namespace) -> None:
        loop = asyncio.get_running_loop()
        self.clock: clock.Scheduler = (
            clock.DrivenClock(now=time.time())
            if options.clock == "driven"
            else realtime.RealClock(loop=loop, speed=options.speed)
        )
        user, colon, password = (options.metrics_auth or "").partition(":")
        settings = world.Settings(
            api_key=options.api_key,
            metrics=not options.no_metrics,
            metrics_auth=(user, password) if colon else None,
            auto_scan=options.auto_scan,
        )
        self._options = options
        self._sender = listener.LoopbackSender()
        self.world = world.World(
            scheduler=self.clock,
            rng=random.Random(options.seed),  # noqa: S311  # a simulation that can be repeated, no cryptography
            release=version.VERSIONS[options.version],
            settings=settings,
            sender=self._sender,
            client_name=options.client_name,
        )
        self.listener = listener.Listener(server=self.world, host=options.host, port=options.port)
        self._control = control.Control(server=self.world, ear=self.listener, time=self.clock)
        self._runner = web.AppRunner(self._control.application(), access_log=None)
        self.url = ""
        self.control_url = ""

    async def start(self) -> None:
        """Listen on both ports."""
        options = self._options
        await self.listener.open()
        self.url = f"http://{options.host}:{self.listener.port}"
        self.world.settings.server_url = options.server_url or self.url
        await self._runner.setup()
        await web.TCPSite(self._runner, options.host, options.control_port).start()
        self.control_url = f"http://{options.host}:{self._runner.addresses[0][1]}"
        for _ in population.seed(self.world, count=options.instances):
            pass

    async def stop(self) -> None:
        """Close both ports."""
        self.listener.release()
        await self.listener.close()
        await self._sender.close()
        await self._runner.cleanup()


async def serve(options: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT; says on standard output where it listens, as one line of JSON."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    simulator = Simulator(options)
    await simulator.start()
    sys.stdout.write(json.dumps({"url": simulator.url, "control": simulator.control_url}) + "\n")
    sys.stdout.flush()
    await stopped.wait()
    await simulator.stop()


def main() -> None:
    """The console entry."""
    asyncio.run(serve(arguments()))


if __name__ == "__main__":
    main()
