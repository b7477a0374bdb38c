"""Routes about the server itself."""

import base64

from evolution_simulator import version
from evolution_simulator.api import errors, message
from evolution_simulator.api.call import Call

WHATSAPP_WEB_VERSION = "2.3000.1027934701"


def welcome(call: Call) -> message.Reply:
    """What anybody may see."""
    body = {
        "status": 200,
        "message": "Welcome to the Evolution API, it is working!",
        "version": call.server.release.number,
        "clientName": call.server.database.client_name,
        "manager": f"{call.server.settings.server_url}/manager",
        "documentation": "https://doc.evolution-api.com",
        "whatsappWebVersion": WHATSAPP_WEB_VERSION,
    }
    return message.reply(200, body)


def verify_credentials(call: Call) -> message.Reply:
    """Needs neither network nor database with the global key."""
    if not call.has_global_key:
        raise errors.unauthorized()
    return message.reply(200, {"status": 200, "message": "Credentials are valid"})


def metrics(call: Call) -> message.Reply:
    """Memory's truth about every instance. 404 where it is switched off."""
    server = call.server
    if not server.settings.metrics:
        raise errors.ApiError(404, "Cannot GET /metrics")
    refusal = _refused(server.settings.metrics_auth, call.request.basic)
    if refusal is not None:
        return refusal
    if server.metrics_cache is None:
        server.metrics_cache = _metrics_text(call)
    return message.Reply(status=200, body=server.metrics_cache, content_type=message.METRICS)


def _refused(wanted: tuple[str, str] | None, given: str | None) -> message.Reply | None:
    """`/metrics` says no in plain text."""
    if wanted is None:
        return None
    if not all(wanted):
        return message.Reply(status=500, body="Metrics authentication not configured", content_type=message.PLAIN)
    if given is None or not given.startswith("Basic "):
        return message.Reply(status=401, body="Authentication required", content_type=message.PLAIN)
    if given.removeprefix("Basic ") != base64.b64encode(":".join(wanted).encode()).decode():
        return message.Reply(status=401, body="Invalid credentials", content_type=message.PLAIN)
    return None


def label(value: str) -> str:
    """A label value in the exposition format."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _metrics_text(call: Call) -> str:
    server = call.server
    info = (
        f'version="{server.release.number}",clientName="{label(server.database.client_name)}",'
        f'serverUrl="{server.settings.server_url}"'
    )
    lines = [
        "# HELP evolution_environment_info Environment information",
        "# TYPE evolution_environment_info gauge",
        f"evolution_environment_info{{{info}}} 1",
        "# HELP evolution_instances_total Total number of instances",
        "# TYPE evolution_instances_total gauge",
        f"evolution_instances_total {len(server.memory)}",
        "# HELP evolution_instance_up 1 if instance state is open, else 0",
        "# TYPE evolution_instance_up gauge",
        "# HELP evolution_instance_state Instance state as a labelled metric",
        "# TYPE evolution_instance_state gauge",
    ]
    for name, one in server.memory.items():
        labels = f'instance="{label(name)}",integration="{one.integration}"'
        up = int(one.state is version.ConnectionState.OPEN)
        lines.append(f"evolution_instance_up{{{labels}}} {up}")
        lines.append(f'evolution_instance_state{{{labels},state="{one.state}"}} 1')
    return "\n".join(lines) + "\n"
