"""Which handler a request reaches, and the checks before it.

An instance route checks that the name exists (404) or is free (403) before it looks at the key (401), so that anybody
can probe names. Only after that does the query override the path (Evolution API 2.3.7, index.router.ts,
abstract.router.ts).
"""

import contextlib
import enum
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass

from evolution_simulator import database, world
from evolution_simulator.api import errors, instances, message, proxies, resources, server, validation
from evolution_simulator.api.call import Call

Handler = Callable[[Call], message.Reply | message.Later]
Respond = Callable[[message.Reply], None]


class Guard(enum.Enum):
    """What a route checks first."""

    NONE = "none"
    GLOBAL_KEY = "global key"
    ANY_KEY = "any key"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route. `template` is the path up to the instance name; `mutating` whether it can change anything."""

    name: str
    method: str
    template: str
    handler: Handler
    guard: Guard = Guard.INSTANCE
    mutating: bool = False


def _route(name: str, line: str, handler: Handler, *, guard: Guard = Guard.INSTANCE, mutating: bool = False) -> Route:
    method, _, template = line.partition(" ")
    return Route(name=name, method=method, template=template, handler=handler, guard=guard, mutating=mutating)


TRANSPORTS = ("websocket", "rabbitmq", "sqs", "nats", "kafka", "pusher")
ROUTES = (
    _route("welcome", "GET /", server.welcome, guard=Guard.NONE),
    _route("verifyCreds", "POST /verify-creds", server.verify_credentials, guard=Guard.NONE),
    _route("metrics", "GET /metrics", server.metrics, guard=Guard.NONE),
    _route("fetchInstances", "GET /instance/fetchInstances", instances.fetch, guard=Guard.ANY_KEY),
    _route("create", "POST /instance/create", instances.create, guard=Guard.GLOBAL_KEY, mutating=True),
    _route("connectionState", "GET /instance/connectionState", instances.connection_state),
    _route("connect", "GET /instance/connect", instances.connect, mutating=True),
    _route("restart", "POST /instance/restart", instances.restart, mutating=True),
    _route("logout", "DELETE /instance/logout", instances.logout, mutating=True),
    _route("delete", "DELETE /instance/delete", instances.delete, mutating=True),
    _route("setPresence", "POST /instance/setPresence", instances.set_presence, mutating=True),
    _route("settingsFind", "GET /settings/find", resources.find_settings),
    _route("settingsSet", "POST /settings/set", resources.set_settings, mutating=True),
    _route("webhookFind", "GET /webhook/find", resources.find_webhook),
    _route("webhookSet", "POST /webhook/set", resources.set_webhook, mutating=True),
    _route("proxyFind", "GET /proxy/find", proxies.find_proxy),
    _route("proxySet", "POST /proxy/set", proxies.set_proxy, mutating=True),
    _route("chatwootFind", "GET /chatwoot/find", resources.chatwoot_off),
    _route("fetchBusinessProfile", "POST /chat/fetchBusinessProfile", resources.fetch_business_profile),
    *(_route(f"{each}Find", f"GET /{each}/find", resources.transport_off) for each in TRANSPORTS),
    *(_route(f"{each}Set", f"POST /{each}/set", resources.transport_off, mutating=True) for each in TRANSPORTS),
)
BY_LINE = {(route.method, route.template): route for route in ROUTES}


@dataclass(frozen=True, slots=True)
class Match:
    """The route of a request, if any, and the name in its path."""

    route: Route | None
    name: str = ""


def match(request: message.Request) -> Match:
    """Find the route."""
    exact = BY_LINE.get((request.method, request.path))
    if exact is not None and exact.guard is not Guard.INSTANCE:
        return Match(exact)
    template, _, encoded = request.path.rpartition("/")
    route = BY_LINE.get((request.method, template))
    if route is None or route.guard is not Guard.INSTANCE or not encoded:
        return Match(None)
    return Match(route, urllib.parse.unquote(encoded))


def subject(request: message.Request, found: Match) -> str | None:
    """The instance that a request is about, if any; a body that cannot be read names none."""
    if found.route is None:
        return None
    if found.route.guard is Guard.INSTANCE:
        return request.query.get("instanceName", found.name)
    if found.route.guard is Guard.GLOBAL_KEY:
        with contextlib.suppress(errors.ApiError):
            name = validation.parse(request.body).get("instanceName")
            return name if isinstance(name, str) else None
    return request.query.get("instanceName")


class Api:
    """The server's HTTP interface without HTTP."""

    def __init__(self, server_world: world.World) -> None:
        self._world = server_world

    def handle(self, request: message.Request, respond: Respond) -> None:
        """Answer a request, at once or when the handler's wait is over."""
        self._deliver(lambda: self._handle(request, match(request)), respond)

    def _deliver(self, make: Callable[[], message.Reply | message.Later], respond: Respond) -> None:
        answer = answered(make)
        if isinstance(answer, message.Later):
            self._world.later(answer.seconds, lambda: self._deliver(answer.reply, respond))
        else:
            respond(answer)

    def _handle(self, request: message.Request, found: Match) -> message.Reply | message.Later:
        route = found.route
        if route is None:
            query = f"?{request.raw_query}" if request.raw_query else ""
            raise errors.ApiError(404, f"Cannot {request.method} {request.path}{query}")
        call = Call(self._world, request, found.name)
        _check(call, route.guard)
        if route.guard is Guard.INSTANCE and "instanceName" in request.query:
            call = Call(self._world, request, request.query["instanceName"])
        return route.handler(call)


def answered(make: Callable[[], message.Reply | message.Later]) -> message.Reply | message.Later:
    """What a handler answers, its errors included."""
    try:
        return make()
    except database.DatabaseDownError:
        return errors.database_down().reply()
    except errors.ApiError as error:
        return error.reply()


def _check(call: Call, guard: Guard) -> None:
    if guard is Guard.INSTANCE:
        if not call.server.exists(call.name):
            raise errors.ApiError(404, f'The "{call.name}" instance does not exist')
        _check_instance_key(call)
    elif guard is Guard.GLOBAL_KEY:
        _check_name_is_free(call)
        if not call.has_global_key:
            raise errors.unauthorized()
    elif guard is Guard.ANY_KEY and not call.has_global_key:
        tokens = () if call.server.database.down else (row.token for row in call.server.database.rows.values())
        if call.request.key not in tokens:
            raise errors.unauthorized()


def _check_name_is_free(call: Call) -> None:
    name = call.values.get("instanceName")
    if isinstance(name, str) and call.server.exists(name):
        raise errors.ApiError(403, f'This name "{name}" is already in use.')


def _check_instance_key(call: Call) -> None:
    if call.has_global_key:
        return
    row = None if call.server.database.down else call.row
    if row is None or call.request.key is None or call.request.key != row.token:
        raise errors.unauthorized()
