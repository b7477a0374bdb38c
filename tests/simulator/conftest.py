"""A simulator in this process, on real sockets, whose clock the test drives."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import httpx
import pytest

from evolution_simulator import clock, instance, main, world

KEY = "the-global-key"
STEP_SECONDS = 0.25
LONGEST_REAL_SECONDS = 30
T = TypeVar("T")


class Bench:
    """A running simulator and clients of its two ports. Time passes when told, or while a request waits for it."""

    def __init__(self, simulator: main.Simulator, http: httpx.AsyncClient, control: httpx.AsyncClient) -> None:
        self.simulator = simulator
        self.http = http
        self._control = control

    @property
    def world(self) -> world.World:
        """The model behind the socket."""
        return self.simulator.world

    async def request(self, method: str, path: str, *, json: Any = None, key: str | None = KEY) -> httpx.Response:
        """One request; the clock moves on until it is answered."""
        headers = {"apikey": key} if key is not None else {}
        return await self.advancing(self.http.request(method, path, json=json, headers=headers))

    async def advancing(self, answer: Awaitable[T]) -> T:
        """Move the clock in small steps, but only while the server itself waits before it answers."""
        task = asyncio.ensure_future(answer)
        async with asyncio.timeout(LONGEST_REAL_SECONDS):
            while not (await asyncio.wait([task], timeout=0.002))[0]:
                if self.simulator.listener.waiting:
                    self.pass_time(STEP_SECONDS)
        return await task

    def pass_time(self, seconds: float) -> None:
        """Let the model's time pass."""
        assert isinstance(self.simulator.clock, clock.DrivenClock)
        self.simulator.clock.advance(seconds)

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the control API."""
        answer = await self._control.request(method, f"/__simulator{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    async def break_(self, name: str, state: str) -> None:
        """Bring an instance into a broken state."""
        await self.control("POST", f"/instances/{name}/break", {"state": state})

    async def create(self, name: str, **values: Any) -> httpx.Response:
        """Create an instance."""
        body = {"instanceName": name, "integration": "WHATSAPP-BAILEYS", "token": f"token-{name}"} | values
        return await self.request("POST", "/instance/create", json=body)

    async def create_open(self, name: str = "one") -> None:
        """Create an instance and pair it."""
        assert (await self.create(name)).status_code == 201
        await self.control("POST", f"/instances/{name}/pair", {})

    async def create_showing_code(self, name: str = "one") -> dict[str, Any]:
        """Create an instance that shows a QR code, which is returned."""
        assert (await self.create(name)).status_code == 201
        shown: dict[str, Any] = (await self.request("GET", f"/instance/connect/{name}")).json()
        assert shown["count"] == 1
        return shown

    async def state(self, name: str = "one") -> str | None:
        """What `connectionState` says; `absent` for a 404, None without a state."""
        answer = await self.request("GET", f"/instance/connectionState/{name}")
        if answer.status_code == 404:
            return "absent"
        state: str | None = answer.json()["instance"].get("state")
        return state

    async def row(self, name: str = "one") -> dict[str, Any] | None:
        """The row of the unfiltered list."""
        rows = (await self.request("GET", "/instance/fetchInstances")).json()
        return next((row for row in rows if row["name"] == name), None)

    def states_over(self, seconds: float, *, name: str = "one", every: float = 0.02) -> list[str]:
        """Memory's state, sampled while time passes."""
        seen = []
        for _ in range(round(seconds / every)):
            self.pass_time(every)
            seen.append(str(self.world.memory[name].state))
        return seen

    def baileys(self, name: str = "one") -> instance.BaileysInstance:
        """The instance in the server's memory."""
        one = self.world.memory[name]
        assert isinstance(one, instance.BaileysInstance)
        return one


Start = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts simulators with given options, on ports of their own; without races unless they are asked for."""
    async with contextlib.AsyncExitStack() as stack:

        async def begin(version: str = "2.3.7", *options: str, races: bool = False) -> Bench:
            line = ["--port", "0", "--api-key", KEY, "--version", version, "--clock", "driven", *options]
            simulator = main.Simulator(main.arguments(line))
            await simulator.start()
            stack.push_async_callback(simulator.stop)
            if not races:
                simulator.world.races = world.Races(0, 0, 0, 0)
            no_certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading them takes longer than most tests
            urls = (simulator.url, simulator.control_url)
            clients = [httpx.AsyncClient(base_url=url, verify=no_certificates, trust_env=False) for url in urls]
            for each in clients:
                await stack.enter_async_context(each)
            return Bench(simulator, *clients)

        yield begin


@pytest.fixture
async def bench(start: Start) -> Bench:
    """A simulated 2.3.7."""
    return await start()
