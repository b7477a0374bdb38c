"""A web page with the QR code of an instance, which is made sure of before it is shown.

    EVOLUTION_URL=http://localhost:8080 EVOLUTION_API_KEY=... .venv/bin/python examples/library/qr_service.py

It needs whatsapp-operator, fastapi and uvicorn; `make setup` installs them. docs/library.md describes the calls.

Then open http://127.0.0.1:8000/instances/shop: the instance `shop` is created when there is none, healed when it can
be, and begun anew when it is broken beyond that and holds nothing that could be lost.

The service asks nobody who they are: put it behind something that does, since whoever sees the code can pair a phone.
"""

from __future__ import annotations

import base64
import os
import urllib.parse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import fastapi
import httpx
import uvicorn
from fastapi.responses import HTMLResponse, Response

from whatsapp_operator.library import AsyncInstanceManager, EnsureResult, RecordStore, Settings, SQLiteRecordStore

Name = Annotated[str, fastapi.Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
NEVER_STORED = {"Cache-Control": "no-store"}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="20"><title>{name}</title></head>
<body><h1>{name}</h1><p>Scan this code with WhatsApp: Settings, Linked devices.</p>
<img src="{name}/qr.png" alt="QR code"></body></html>
"""


class Evolution:
    """The two calls to the Evolution API that the library leaves to its users: create, and read the code."""

    def __init__(self, *, url: str, api_key: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers={"apikey": api_key}, timeout=15, trust_env=False)

    async def create(self, name: str) -> None:
        """Create an instance, unless somebody has just done so. Raises `httpx.HTTPError` where the server does not."""
        body = {"instanceName": name, "integration": "WHATSAPP-BAILEYS", "qrcode": False}
        answer = await self._http.post("/instance/create", json=body)
        if answer.status_code != httpx.codes.FORBIDDEN:  # the name is in use
            answer.raise_for_status()

    async def code(self, name: str) -> bytes | None:
        """The QR code as a PNG, None where there is none yet. Raises `httpx.HTTPError` without an answer."""
        answer = await self._http.get(f"/instance/connect/{urllib.parse.quote(name, safe='')}")
        answer.raise_for_status()
        picture = answer.json().get("base64")
        return base64.b64decode(picture.partition(",")[2]) if isinstance(picture, str) else None

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


class Service:
    """What the routes do."""

    def __init__(self, manager: AsyncInstanceManager, evolution: Evolution) -> None:
        self._manager, self._evolution = manager, evolution

    async def page(self, name: Name) -> HTMLResponse:
        """A page that shows the code, and a new one when that is used up."""
        return HTMLResponse(PAGE.format(name=name), headers=NEVER_STORED)

    async def qr_code(self, name: Name) -> Response:
        """The code of an instance that is made sure of first."""
        ensured = await self._manager.ensure_healthy_instance(name)
        if ensured.state == "healthy":
            raise fastapi.HTTPException(409, "The instance is connected: there is nothing to scan.")
        if ensured.state == "not_found":  # there never was one, or it was broken and has been cleaned up
            await self._evolution.create(name)
        elif not ensured.healthy:
            raise _unavailable(ensured)
        picture = await self._evolution.code(name)
        if picture is None:
            raise fastapi.HTTPException(503, "No QR code yet.", headers={"Retry-After": "2"})
        return Response(picture, media_type="image/png", headers=NEVER_STORED)


def _unavailable(ensured: EnsureResult) -> fastapi.HTTPException:
    detail = {"state": ensured.state, "reason": ensured.reason, "detail": ensured.detail}
    return fastapi.HTTPException(503, detail, headers={"Retry-After": "30"})


async def _no_answer(_request: fastapi.Request, _error: Exception) -> Response:
    """What the Evolution API answered is not for the eyes of whoever opened the page."""
    return Response("The Evolution API did not do its part.", status_code=502, media_type="text/plain")


def application(*, url: str, api_key: str, store: RecordStore, settings: Settings | None = None) -> fastapi.FastAPI:
    """The service for one Evolution API server; it closes the store when it ends."""

    @asynccontextmanager
    async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[None]:
        evolution = Evolution(url=url, api_key=api_key)
        async with AsyncInstanceManager(url=url, api_key=api_key, store=store, settings=settings) as manager:
            service = Service(manager, evolution)
            app.add_api_route("/instances/{name}", service.page, response_class=HTMLResponse)
            app.add_api_route("/instances/{name}/qr.png", service.qr_code, response_class=Response)
            yield
        await evolution.close()

    return fastapi.FastAPI(
        title="QR codes", lifespan=lifespan, exception_handlers={httpx.HTTPError: _no_answer}, docs_url=None
    )


def main() -> None:
    """Serve on loopback, as the environment says."""
    app = application(
        url=os.environ["EVOLUTION_URL"],
        api_key=os.environ["EVOLUTION_API_KEY"],
        store=SQLiteRecordStore(os.environ.get("RECORDS", "instances.db")),
    )
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")), log_level="warning")


if __name__ == "__main__":
    main()
