"""What scenarios are made of: how an instance comes to be what it is, what befalls it, and when that is over."""

from collections.abc import Mapping
from typing import Any

import httpx
import yaml

from e2e import kube, stage

BYSTANDER = "bystander"
HOOK = "http://127.0.0.1:9/hook"
SETTINGS = {"rejectCall": True, "msgCall": "Please write.", "groupsIgnore": True}
WEBHOOK = {"url": HOOK, "events": ["MESSAGES_UPSERT"], "headersSecretRef": {"name": "hook"}, "byEvents": True}

UNBOUNDED = {
    "maxInFlight": 100,
    "windows": [
        {"class": each, "max": 1000, "periodSeconds": 1}
        for each in ("Soft", "Recreate", "SessionLoss", "ServerRestart")
    ],
}
"""What is spent on one death must not be missed by the next."""
AT_ONCE = {"sessionLossDelaySeconds": 1, "maxAttempts": 1}
ASKS = {"sessionLoss": "RequireApproval", "sessionLossDelaySeconds": 1, "lastResortDelaySeconds": 1}
APPROVE = "whatsapp-operator.dev/approve"
TOKEN = "of-the-tenant"  # noqa: S105 - nobody's
ZOMBIE_SECONDS = 120
HEALTH = stage.QUICK_HEALTH | {"checkTimeoutSeconds": 10}
"""On a busy machine an answer is late, a QR code above all; it is not to count as none."""
_BEFORE = "whatsapp-operator.dev/test-revision-before"


def nothing(staged: stage.Stage, name: str) -> None:
    """A creation begins with nothing."""


def create(staged: stage.Stage, name: str) -> None:
    staged.instance(name, settings=SETTINGS, webhook=WEBHOOK)


def paired(staged: stage.Stage, name: str) -> None:
    staged.paired_instances(name, settings=SETTINGS, webhook=WEBHOOK)


def unpaired_with_a_webhook_by_hand(staged: stage.Stage, name: str) -> None:
    staged.unpaired_instance(name)
    webhook = {"enabled": True, "url": HOOK, "events": ["MESSAGES_UPSERT"], "headers": {"X-Shop": "1"}}
    _by_hand(staged, f"/webhook/set/{name}", {"webhook": webhook})
    staged.simulator.reset_calls()


def _by_hand(staged: stage.Stage, path: str, body: Mapping[str, Any]) -> None:
    key = {"apikey": stage.API_KEY}
    httpx.post(f"{staged.simulator.url}{path}", headers=key, json=body, trust_env=False).raise_for_status()


def hang(staged: stage.Stage, name: str) -> None:
    staged.simulator.break_(name, "S17")


def become_a_ghost(staged: stage.Stage, name: str) -> None:
    staged.simulator.break_(name, "S1")


def delete(staged: stage.Stage, name: str) -> None:
    staged.delete(name)


def paired_to_be_risked(staged: stage.Stage, name: str) -> None:
    staged.paired_instances(name, settings=SETTINGS, webhook=WEBHOOK, recovery=AT_ONCE)


def paired_on_a_workload(staged: stage.Stage, name: str) -> None:
    paired(staged, name)
    staged.kubectl("annotate", "--overwrite", "deployment", "evolution", f"{_BEFORE}={_revision(staged)[0]}")


def _revision(staged: stage.Stage) -> tuple[int, int]:
    """How many templates the workload has had by now, and before the scenario began."""
    told = staged.kubectl.json("get", "deployment", "evolution")["metadata"]["annotations"]
    return int(told["deployment.kubernetes.io/revision"]), int(told.get(_BEFORE, 0))


def restarts(staged: stage.Stage) -> int:
    now, before = _revision(staged)
    return now - before


def paired_on_a_server_anew(staged: stage.Stage, name: str) -> None:
    staged.server(budget=UNBOUNDED, health=HEALTH)
    staged.wait_ready(BYSTANDER)
    paired(staged, name)


def close(staged: stage.Stage, name: str) -> None:
    staged.simulator.break_(name, "S5")


def spoil_its_credentials(staged: stage.Stage, name: str) -> None:
    staged.simulator.break_(name, "S7")


def delete_but_retain(staged: stage.Stage, name: str) -> None:
    staged.update(name, deletionPolicy="Retain")
    staged.delete(name)


def delete_with_its_server(staged: stage.Stage, name: str) -> None:
    staged.delete(stage.SERVER, "evs")
    staged.delete(name)


def awaits_its_scan(staged: stage.Stage, name: str) -> None:
    staged.unpaired_instance(name, settings=SETTINGS, webhook=WEBHOOK)
    kube.wait_until(lambda: waits_for_its_scan(staged, name), message="no code was offered")
    staged.simulator.reset_calls()


def scan(staged: stage.Stage, name: str) -> None:
    staged.simulator.scan(name)


def end_its_session(staged: stage.Stage, name: str) -> None:
    staged.simulator.log_out(name)


def ask_for_a_restart(staged: stage.Stage, name: str) -> None:
    staged.request(name, "restart", "once")


def paired_by_hand_with_its_token(staged: stage.Stage, name: str) -> None:
    _by_hand(staged, "/instance/create", {"instanceName": name, "integration": "WHATSAPP-BAILEYS", "token": TOKEN})
    staged.simulator.pair(name)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{name}-token"}}
    staged.kubectl.apply(yaml.safe_dump(secret | {"stringData": {"token": TOKEN}}))
    kube.wait_until(lambda: _unmanaged(staged) == 1, message="it was not seen")  # whether it is decides what is read
    staged.simulator.reset_calls()


def _unmanaged(staged: stage.Stage) -> int:
    return int(staged.kubectl.json("get", "evs", stage.SERVER)["status"]["instances"]["unmanaged"])


def asks_for_an_approval(staged: stage.Stage, name: str) -> None:
    staged.paired_instances(name, settings=SETTINGS, webhook=WEBHOOK, recovery=ASKS)
    staged.simulator.break_(name, "S2")
    kube.wait_until(lambda: _token_shown(staged, name), timeout=60, message="no token was shown")


def _token_shown(staged: stage.Stage, name: str) -> str:
    return str(staged.status(name).get("recovery", {}).get("approval", {}).get("token", ""))


def approve(staged: stage.Stage, name: str) -> None:
    """What is asked for, where anything is: a step that was interrupted has used its approval up."""
    if token := _token_shown(staged, name):
        staged.kubectl("annotate", "--overwrite", "wai", name, f"{APPROVE}={token}")


def refuses_its_deletion(staged: stage.Stage, name: str) -> None:
    paired(staged, name)
    staged.simulator.break_(name, "S3")
    staged.delete(name)
    staged.told(name, "Synced", "DeletionRefused", timeout=ZOMBIE_SECONDS)
    staged.simulator.reset_calls()


def retain(staged: stage.Stage, name: str) -> None:
    staged.update(name, deletionPolicy="Retain")


def waits_for_its_scan(staged: stage.Stage, name: str) -> bool:
    known = staged.kubectl.exists("secret", f"{name}-pairing")
    return staged.reason(name) == "AwaitingScan" and known and staged.status(name).get("keepsake") is None


def _is_over(status: Mapping[str, Any]) -> bool:
    """Whether a step was taken, and none is under way."""
    recovery = status.get("recovery", {})
    return bool(recovery.get("history")) and not recovery.get("inFlight")


def _is_open(staged: stage.Stage, name: str) -> bool:
    return staged.simulator.instance(name)["memory"] == "open" and staged.reason(name) == "Healthy"


def is_recreated(staged: stage.Stage, name: str) -> bool:
    is_held = _is_over(staged.status(name)) and staged.simulator.instance(name)["memory"] is not None
    return is_held and waits_for_its_scan(staged, name)


def is_healed(staged: stage.Stage, name: str) -> bool:
    return _is_over(staged.status(name)) and _is_open(staged, name)


def is_restarted_as_asked(staged: stage.Stage, name: str) -> bool:
    return staged.status(name).get("lastHandled", {}).get("restart") == "once" and is_healed(staged, name)


def is_adopted(staged: stage.Stage, name: str) -> bool:
    return staged.status(name).get("adopted") is True and is_in_use(staged, name)


def is_in_use(staged: stage.Stage, name: str) -> bool:
    """Paired, well and as its spec says, and no code is offered any more."""
    settled = staged.condition(name, "Synced") == ("True", "Synced") and staged.reason(name) == "Healthy"
    return settled and not staged.kubectl.exists("secret", f"{name}-pairing")


def is_healed_with_its_server(staged: stage.Stage, name: str) -> bool:
    server = staged.kubectl.json("get", "evs", stage.SERVER).get("status", {})
    return restarts(staged) > 0 and _is_over(server) and _is_open(staged, name)


def is_let_go(staged: stage.Stage, name: str) -> bool:
    return not staged.kubectl.exists("wai", name)


def is_gone_with_its_server(staged: stage.Stage, name: str) -> bool:
    return is_gone(staged, name) and not staged.kubectl.exists("evs", stage.SERVER)


def is_gone(staged: stage.Stage, name: str) -> bool:
    secrets = [one["metadata"]["name"] for one in staged.kubectl.json("get", "secrets")["items"]]
    belonging = [one for one in secrets if one.startswith(f"{name}-")]
    return not staged.kubectl.exists("wai", name) and not staged.lives(name) and not belonging
