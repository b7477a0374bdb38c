"""The routes of the Evolution API that the operator calls (Evolution API 2.3.7, src/api/routes)."""

from __future__ import annotations

import enum
import urllib.parse
from dataclasses import dataclass

from whatsapp_operator.evolution import errors


class Credential(enum.Enum):
    """What a route is shown; nothing is sent where nothing is asked for."""

    KEY = enum.auto()
    METRICS = enum.auto()
    NONE = enum.auto()


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path, in which `{name}` stands for an instance's name."""

    method: str
    path: str
    acts: bool = False
    """A second call does more than one: it is never sent twice, whatever its method promises."""
    credential: Credential = Credential.KEY
    bulk: bool = False
    """One call for all instances; it does not queue behind the calls for single ones."""

    @property
    def request(self) -> errors.Request:
        """How errors and metrics call it."""
        return errors.Request(method=self.method, route=self.path)

    def fill(self, name: str) -> str:
        """The path for an instance; raise `errors.PolicyRefused` for a name that no path can carry."""
        try:
            segment = urllib.parse.quote(name, safe="")
        except UnicodeEncodeError:
            segment = ""
        if segment in {"", ".", ".."}:
            raise errors.PolicyRefused(self.request)
        return self.path.replace("{name}", segment)


IDENTIFY = Route("GET", "/", credential=Credential.NONE)
METRICS = Route("GET", "/metrics", credential=Credential.METRICS, bulk=True)
VERIFY_KEY = Route("POST", "/verify-creds")
FETCH_INSTANCES = Route("GET", "/instance/fetchInstances", bulk=True)
CONNECTION_STATE = Route("GET", "/instance/connectionState/{name}")
CREATE = Route("POST", "/instance/create", acts=True)
CONNECT = Route("GET", "/instance/connect/{name}", acts=True)
RESTART = Route("POST", "/instance/restart/{name}", acts=True)
LOGOUT = Route("DELETE", "/instance/logout/{name}", acts=True)
DELETE = Route("DELETE", "/instance/delete/{name}", acts=True)
FIND_SETTINGS = Route("GET", "/settings/find/{name}")
SET_SETTINGS = Route("POST", "/settings/set/{name}", acts=True)
FIND_WEBHOOK = Route("GET", "/webhook/find/{name}")
SET_WEBHOOK = Route("POST", "/webhook/set/{name}", acts=True)
FETCH_BUSINESS_PROFILE = Route("POST", "/chat/fetchBusinessProfile/{name}", acts=True)
