"""What a scenario leaves behind, without what differs from run to run: runs that ended alike have equal pictures."""

import base64
from typing import Any

import httpx

from e2e import kube, stage

Object = dict[str, Any]

_SETTINGS = ("rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory", "msgCall")
_WEBHOOK = ("enabled", "url", "headers", "webhookByEvents", "webhookBase64")


def of(staged: stage.Stage, name: str) -> Object:
    """Of one instance: the resource, what belongs to it, and what is on the server."""
    return {
        "resource": _resource(staged.kubectl, name),
        "secrets": _secrets(staged.kubectl, name),
        "server": on_server(staged, name),
    }


def _resource(kubectl: kube.Kubectl, name: str) -> Object | None:
    if not kubectl.exists("wai", name):
        return None
    body = kubectl.json("get", "wai", name)
    status = body.get("status", {})
    return {
        "finalizers": body["metadata"].get("finalizers"),
        "going": "deletionTimestamp" in body["metadata"],
        "observed": status.get("observedGeneration") == body["metadata"]["generation"],
        "words": {word: status.get(word) for word in ("healthState", "reason", "paired", "keepsake")},
        "flying": status.get("recovery", {}).get("inFlight"),
        "conditions": {one["type"]: (one["status"], one["reason"]) for one in status.get("conditions", ())},
    }


def _secrets(kubectl: kube.Kubectl, name: str) -> Object:
    found = kubectl.json("get", "secrets")["items"]
    ours = [one for one in found if one["metadata"]["name"].startswith(f"{name}-")]
    return {one["metadata"]["name"].removeprefix(name): sorted(one.get("data", {})) for one in ours}


def token_of(kubectl: kube.Kubectl, name: str) -> str | None:
    """The token in the Secret of an instance."""
    if not kubectl.exists("secret", f"{name}-token"):
        return None
    found = kubectl.json("get", "secret", f"{name}-token").get("data", {}).get("token")
    return base64.b64decode(found).decode() if found else None


def on_server(staged: stage.Stage, name: str) -> Object | None:
    """The instance itself, from inside and over the server's own API."""
    inside = staged.simulator.instance(name)
    if inside["memory"] is None and inside["id"] is None:
        return None
    token = token_of(staged.kubectl, name)
    return {
        "memory": inside["memory"],
        "database": inside["database"],
        "session": inside["session"],
        "connections": inside["connections"],
        "token": token is None or inside["token"] == token,
        **configuration(staged, name),
    }


def configuration(staged: stage.Stage, name: str) -> Object:
    """Settings and webhook, as the server tells them."""
    with httpx.Client(base_url=staged.simulator.url, headers={"apikey": stage.API_KEY}, trust_env=False) as client:
        settings = client.get(f"/settings/find/{name}").json() or {}
        webhook = client.get(f"/webhook/find/{name}").json() or {}
    return {
        "settings": {field: settings.get(field) for field in _SETTINGS},
        "webhook": {field: webhook.get(field) for field in _WEBHOOK} | {"events": sorted(webhook.get("events") or ())},
    }
