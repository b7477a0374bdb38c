"""One sentence per reason: what it means, and what to do next.

Conditions and Events both speak with these, so that no reason is explained twice, or differently. The words in braces
are filled in from the resource; nothing that a server answered ever gets in.
"""

from __future__ import annotations

from collections.abc import Mapping

from whatsapp_operator.resources import names
from whatsapp_operator.resources.instance import WhatsAppInstance
from whatsapp_operator.resources.names import Request
from whatsapp_operator.resources.pause import PausedBy, PauseInForce
from whatsapp_operator.resources.reasons import Reason

_SCAN = "Scan the QR code: kubectl get secret {secret} -n {namespace} -o jsonpath='{{.data.qr\\.txt}}' | base64 -d"
_WANT = "To get a QR code: kubectl annotate wai {name} -n {namespace} --overwrite {pairing}=$(date +%s)"
_APPROVE = (
    "To approve it now: kubectl annotate wai {name} -n {namespace} --overwrite {approve}=$(kubectl get wai {name} "
    "-n {namespace} -o jsonpath='{{.status.recovery.approval.token}}')"
)
_LET_GO = (
    "let go of the instance, which leaves it on the server: kubectl patch wai {name} -n {namespace} --type merge -p "
    '\'{{"spec":{{"deletionPolicy":"Retain"}}}}\''
)
_WAITS = "Nothing is done; it is looked at again all the time."

SENTENCES: Mapping[Reason, str] = {
    Reason.HEALTHY: "The instance is open in memory and in the database.",
    Reason.AWAITING_SCAN: f"A QR code waits to be scanned. {_SCAN}",
    Reason.GHOST: "The database has the instance, the running server does not hold it. A restart of the Evolution API "
    "server brings it back with its pairing.",
    Reason.ROW_MISSING: "The running server holds the instance, the database has no row for it. It works until the "
    "next restart of the server.",
    Reason.SESSION_MISSING: "It works, but its stored session is gone: the next restart of the Evolution API server "
    "will need a new scan. Do not restart the server before someone with the phone is at hand.",
    Reason.DEAD_SOCKET: "It says open, but its socket is dead. Restart the Evolution API server.",
    Reason.RESTRICTED: "WhatsApp refuses this account (see status.connection.code). Open WhatsApp on the phone and "
    "follow what it says; nothing is tried meanwhile.",
    Reason.LOGGED_OUT: f"The phone logged this instance out. {_WANT}",
    Reason.CREDENTIALS_LOST: f"The server lost the instance's credentials and shows a new QR code. {_SCAN}",
    Reason.NO_QR_CODE: "A QR code is wanted, and the server offers none, or only one that has expired. See "
    "status.recovery for what is tried. If no instance of the server gets one, check that it reaches WhatsApp.",
    Reason.CONNECTING: "The instance has been connecting without any progress. See status.recovery for what is tried, "
    "and RemediationAllowed for what holds more back.",
    Reason.REPLACED: "It is opened and replaced again and again: another server holds the same session, or two sockets "
    "of this one do. Make sure that only one Evolution API server uses this database, then restart that server.",
    Reason.FLAPPING: "It tries to connect without success, or rests while most others of its server do: WhatsApp may "
    "be out of the server's reach. Nothing is done for as long as that may be; it is looked at again all the time. "
    "Check that the server reaches WhatsApp. If it does and this lasts, restart the Evolution API server, which loses "
    "nothing; where that does not help, the stored credentials are unusable: delete the WhatsAppInstance, create it "
    "again, and scan.",
    Reason.CREDENTIALS: "Its stored credentials are unusable, while other instances of the server reach WhatsApp. It "
    "has to be logged out and paired again.",
    Reason.QR_EXPIRED: f"The QR codes were not scanned in time. {_WANT}",
    Reason.CLOSED_SOCKET: "The database says open, memory has said close for long: its close was lost.",
    Reason.UNEXPLAINED_CLOSE: "It was paired, is closed, and no code says why. It is connected once more; if its "
    "stored session is gone, as after SessionMissing and a restart of the server, it will show a QR code to scan.",
    Reason.NOT_STARTED: f"No phone was paired yet. {_WANT}",
    Reason.CHANNEL_CLOSED: "The channel was logged out; only a restart of the Evolution API server opens it again.",
    Reason.SETTLING: f"Its state is changing, or is not understood yet. {_WAITS}",
    Reason.NOT_FOUND: "The instance does not exist on the server; it is created.",
    Reason.TERMINATING: "The server is asked to delete the instance, and has not done so yet. It is asked again.",
    Reason.NOT_OBSERVED: "Nothing was observed yet.",
    Reason.NOT_ANSWERED: "The server answers for its other instances, and not for this one, so nothing is known of it. "
    "Ask it for GET /instance/connectionState/{instance}, and look at its log.",
    Reason.SERVER_UNREACHABLE: "The server could not be read lately, so nothing is known. See the conditions of the "
    "EvolutionServer {server}.",
    Reason.KEY_REJECTED: "The server rejects the API key. Put the value of AUTHENTICATION_API_KEY into the Secret of "
    "spec.apiKeySecretRef of the EvolutionServer {server}.",
    Reason.METRICS_REFUSED: "The server refuses GET /metrics, so nothing is known. See the conditions of the "
    "EvolutionServer {server}.",
    Reason.OTHER_IDENTITY: "The server answers with another client name than the one it is held to. See the "
    "EvolutionServer {server}.",
    Reason.INSTANCES_VANISHED: "More than half of the known instances vanished from the database at once: it is "
    "probably another database. Nothing is changed until they are back. See the EvolutionServer {server}.",
    Reason.SERVER_INVALID: "The EvolutionServer {server} has an invalid spec; see its conditions.",
    Reason.SECRET_NOT_FOUND: "A Secret that the EvolutionServer {server} refers to is missing; see its conditions.",
    Reason.SECRET_KEY_MISSING: "A Secret that the EvolutionServer {server} refers to lacks a key; see its conditions.",
    Reason.SYNCED: "The instance's settings on the server are those of the spec.",
    Reason.CONFIGURATION_PENDING: "Settings or webhook are not yet verified on the server.",
    Reason.ALREADY_EXISTS: "An instance named {instance} exists on the server with another token, so it is not "
    "touched. To adopt it put its token into the Secret {token_secret} (key {token_key}); else choose another "
    "spec.instanceName.",
    Reason.INTEGRATION_DIFFERS: "The instance {instance} on the server is of another integration than spec.integration "
    "says, so it is not touched. Delete this resource, which leaves the instance as it is, and create one whose "
    "spec.integration is that of the instance.",
    Reason.DUPLICATE: "Another, older WhatsAppInstance stands for the instance {instance} on this server. Delete one "
    "of them.",
    Reason.SERVER_NOT_FOUND: "There is no EvolutionServer {server}. Create it, or correct spec.serverRef.",
    Reason.SERVER_NOT_ALLOWED: "The EvolutionServer {server} does not admit instances of the namespace {namespace}: "
    "add it to its spec.allowedNamespaces.",
    Reason.SERVER_TERMINATING: "The EvolutionServer {server} is being deleted, and takes no new instances. Create it "
    "again once it is gone, or name another in spec.serverRef.",
    Reason.SECRET_NOT_OURS: "The Secret {token_secret} exists without a text (UTF-8) under the key {token_key}, or was "
    "made for another resource and goes with it; it is not overwritten. Add the key, or name another Secret in "
    "spec.tokenSecretRef.",
    Reason.TOKEN_NOT_FOUND: "There is no Secret {token_secret}, which holds the token of Meta under the key "
    "{token_key}; the instance is created once there is one. Create it, or name another one in spec.tokenSecretRef.",
    Reason.TOKEN_DIFFERS: "The instance on the server has another token than the one in the Secret {token_secret} (key "
    "{token_key}), or there is no such Secret: clients that take it from there are refused. Put the instance's token "
    "there. An instance gets a new token only when it is created: for that delete this resource, and create it again.",
    Reason.HEADERS_NOT_FOUND: "There is no Secret of the name in spec.webhook.headersSecretRef in the namespace "
    "{namespace}, or a value in it is not text (UTF-8). Create it, or name another one.",
    Reason.KEEPSAKE_CHANGED: "Somebody changed the Secret {keepsake}, which holds what a step took from the instance. "
    "It is not put back. Restore what it held, or go on without: delete it (kubectl delete secret {keepsake} -n "
    "{namespace}).",
    Reason.KEEPSAKE_NOT_OURS: "The Secret {keepsake} exists and is not this resource's, so it is not overwritten. The "
    "step, which has to keep there what it takes from the instance, is not taken. Save what the Secret holds, and "
    "delete it (kubectl delete secret {keepsake} -n {namespace}).",
    Reason.PAIRING_SECRET_NOT_OURS: "The Secret {secret} exists and is not this resource's, so it is not overwritten, "
    "and no QR code is shown. Save what the Secret holds, and delete it (kubectl delete secret {secret} -n "
    "{namespace}).",
    Reason.REMEDIATION_ALLOWED: "Recovery steps may be taken.",
    Reason.PROTECTED_INSTANCE: "The step that is left would lose the pairing or data, and recovery.sessionLoss is "
    "Never. Restart the Evolution API server, which loses neither; if nothing else is left, set sessionLoss to "
    "RequireApproval and approve the step.",
    Reason.APPROVAL_REQUIRED: "The step would lose the pairing or data, and waits for someone to approve it. "
    f"{_APPROVE}",
    Reason.APPROVED: "The step is approved: once, in this incident, for this incarnation, until "
    "status.recovery.approval.expires.",
    Reason.APPROVAL_EXPIRED: "The approval was not used in time: the step could not be taken meanwhile. See "
    f"status.recovery.blockedBy for what was against it. {_APPROVE}",
    Reason.SESSION_LOSS_DELAY: "The step would lose the pairing or data, so it waits for "
    f"recovery.sessionLossDelaySeconds from the beginning of the incident. {_APPROVE}",
    Reason.NOT_VOUCHED_FOR: "No other instance of the server proves that WhatsApp can be reached, or one does only "
    "since a moment ago: WhatsApp or the network may be away, and this heal when it is back. The step waits for such "
    "proof; one that costs a pairing or data until the instance has stayed bad for a while after it; or for "
    "recovery.lastResortDelaySeconds after the gentle ones have failed; one that costs nothing waits two minutes. "
    f"{_APPROVE}",
    Reason.NEEDS_SERVER_RESTART: "Only a restart of the Evolution API server heals it without a loss. Restart it, or "
    "name its workload in spec.workloadRef of the EvolutionServer {server}, and it is done for you. Where the server "
    f"takes a deletion at all, the instance is recreated after recovery.lastResortDelaySeconds. {_APPROVE}",
    Reason.SERVER_RESTARTING: "The server is being restarted; steps wait for it.",
    Reason.DEAF: "A logout left it deaf to incoming messages (Evolution API 2.3.6 and earlier) until the server "
    "restarts. Restart the Evolution API server, or run 2.3.7. If it has restarted, and that was not noticed, say so: "
    "kubectl annotate wai {name} -n {namespace} --overwrite {reset}=$(date +%s)",
    Reason.STORM: "So many paired instances of the server are bad at once that the cause is not theirs. Nothing is "
    "done that would lose a pairing, and gentler steps go one at a time, until fewer are bad. What to do where that "
    "lasts says the EvolutionServer {server}.",
    Reason.BUDGET_EXHAUSTED: "The server's budget for steps of this class is spent for now: see spec.budget and "
    "status.recovery.budget of the EvolutionServer {server}.",
    Reason.TOO_MANY_IN_FLIGHT: "Other steps are under way on the server: see spec.budget.maxInFlight of the "
    "EvolutionServer {server}.",
    Reason.MAINTENANCE_WINDOW: "A maintenance window of the EvolutionServer {server} keeps the step from beginning; "
    "see status.recovery.planned for when it may. To let it begin sooner change spec.budget.maintenance there.",
    Reason.FEW_INSTANCES: "Only a restart of the server heals it; that waits until more instances need it, or for "
    "spec.workloadRef.maxWaitSeconds of the EvolutionServer {server}.",
    Reason.UNSAFE_ROLLOUT: "The workload of the EvolutionServer {server} must not be restarted as it is: it needs one "
    "replica, strategy Recreate (or a StatefulSet without OnDelete), and no paused rollout.",
    Reason.WORKLOAD_NOT_FOUND: "There is no workload as spec.workloadRef of the EvolutionServer {server} names it. "
    "Correct it.",
    Reason.WORKLOAD_FORBIDDEN: "The operator may not restart the workload of the EvolutionServer {server}: bind the "
    "role whatsapp-operator-server-restart to its service account in that namespace.",
    Reason.WARMING_UP: "The server, or this operator, started or failed lately: until all instances are loaded "
    "nothing is healed.",
    Reason.UNSUPPORTED_VERSION: "This version of the Evolution API is only observed; see the EvolutionServer {server}.",
    Reason.RECOVERY_DISABLED: "recovery.mode is Disabled: the step in status.recovery.planned is not taken. To let it "
    "be taken set spec.recovery.mode here, or on the EvolutionServer {server}, to Enabled.",
    Reason.DRY_RUN: "recovery.mode is DryRun: the step in status.recovery.planned is not taken, also if it was asked "
    "for by annotation. To let it be taken set spec.recovery.mode here, or on the EvolutionServer {server}, to "
    "Enabled.",
    Reason.PAUSED: "Nothing is changed on the server while a pause is in force; see the condition Paused.",
    Reason.RECOVERY_EXHAUSTED: "All gentle steps were tried. What is left is tried ever more rarely. A restart of the "
    "Evolution API server loses nothing, and may help; else see the server's log.",
    Reason.RETRY_DELAY: "The next step waits, see status.recovery.planned.",
    Reason.AWAITING_OBSERVATION: "The next step waits for another observation.",
    Reason.NOT_REQUESTED: "Not checked, since nobody asked for it.",
    Reason.RECOVERING: "A recovery step is under way; its effect is being observed.",
    Reason.STEP_STARTED: "Its effect will be observed.",
    Reason.STEP_SUCCEEDED: "The instance was observed to work.",
    Reason.STEP_FAILED: "Its effect was not observed. See status.recovery.planned for what is tried next, and "
    "RemediationAllowed for what is against it.",
    Reason.STEP_INTERRUPTED: "The operator ended in the middle of it; what comes next rests on new evidence.",
    Reason.RECOVERED: "It has been well for long enough: the incident is over, and attempts count from zero.",
    Reason.EXISTS: "The instance exists on the server.",
    Reason.CONNECTED: "The connection to WhatsApp is open.",
    Reason.SETTLED: "The connection is not in the middle of a change.",
    Reason.CONSISTENT: "Memory and database of the server do not contradict each other.",
    Reason.FUNCTIONAL: "A fresh QR code can be had.",
    Reason.ANSWERED: "WhatsApp answered a probe through the instance's own connection.",
    Reason.CREATED: "The instance was created on the server.",
    Reason.ADOPTED: "The instance existed before, with the token of this resource's Secret; it is now looked after. "
    "When this resource is deleted it stays, unless spec.deletionPolicy is Delete.",
    Reason.DELETED: "The instance is gone from the server's memory and database.",
    Reason.RETAINED: "The instance, if there is one, stays on the server as it is.",
    Reason.CONFIGURATION_REFUSED: "The server refuses what the spec asks for. Check number, settings and webhook, and, "
    "where the instance had a proxy, whether the server still reaches the internet by it; it is tried again.",
    Reason.DELETING: "The instance is being deleted on the server.",
    Reason.DELETION_REFUSED: "The server has not deleted the instance, though it was asked more than once. Restart the "
    f"Evolution API server, or {_LET_GO}",
    Reason.DELETION_WAITS: "The instance is deleted once its server can be read and acted on again: see the conditions "
    f"of the EvolutionServer {{server}}, or {_LET_GO}",
    Reason.ORPHANED: "The instance may still be on the server: neither server nor key were left to delete it with.",
}

_KEEPSAKE_STAYS = (
    "The Secret {keepsake} stays as well: it holds webhook and settings as they were before a step, which could not be "
    "put back. Set them on the server by hand, then delete it."
)
WEBHOOK_IS_OFF = (
    "Its webhook may be off: the server was asked to delete it before, which begins with that. Set it on the server by "
    "hand."
)
ORPHANED_UNREAD = (
    "The instance may still be on the server: its spec was not understood, and nobody corrected it while its namespace "
    "was being deleted."
)
NOT_DELETED_EITHER = (
    "What becomes of the instance stands in the spec, so its deletion waits: correct the spec, or remove the finalizer "
    f"{names.FINALIZER}, which leaves the instance on the server."
)

PAUSES: Mapping[PausedBy, str] = {
    PausedBy.EVERYTHING: "the pause of everything. Delete the ConfigMap "
    f"{names.PAUSE_CONFIG} in the operator's namespace to go on.",
    PausedBy.SERVER: "spec.pause of the EvolutionServer {server}. Remove it to go on.",
    PausedBy.INSTANCE: "spec.pause of this WhatsAppInstance. Remove it to go on.",
}

_END_UNREAD = (
    " Its `until` cannot be read, so it does not end by itself: give a time with a zone, such as 2027-01-31T18:00:00Z."
)

_OTHERS_SESSION = (
    "Only a restart of the Evolution API server heals it, and that would cost another instance its pairing: one works "
    "whose stored session is gone. See the warnings of the EvolutionServer {server}."
)


NOTHING_SAID: Mapping[Reason, str] = {}


def sentence(reason: Reason, one: WhatsAppInstance, *, said: Mapping[Reason, str] = NOTHING_SAID) -> str:
    """The sentence of a reason, for one instance; `said` has those of plugins.

    Of a word that nobody here knows any more nothing is left but the word.
    """
    return _filled(SENTENCES.get(reason) or said.get(reason, str(reason)), one)


def refusal(
    reason: Reason,
    one: WhatsAppInstance,
    *,
    why_not_well: Reason,
    deaf: bool = False,
    said: Mapping[Reason, str] = NOTHING_SAID,
) -> str:
    """The sentence of a reason that holds a step back; it may be what is wrong with another instance."""
    if deaf and reason is Reason.NEEDS_SERVER_RESTART:
        return sentence(Reason.DEAF, one)
    others = reason is Reason.SESSION_MISSING and why_not_well is not reason
    return _filled(_OTHERS_SESSION, one) if others else sentence(reason, one, said=said)


def keepsake_stays(one: WhatsAppInstance) -> str:
    """What is left of a step where the resource goes and what the step took was not put back."""
    return _filled(_KEEPSAKE_STAYS, one)


def paused(pause: PauseInForce, *, server: tuple[str, str]) -> str:
    """Whose pause holds, until when, and how to end it; `server` is the namespace and name of the server."""
    until = f" until {pause.until:%Y-%m-%dT%H:%M:%SZ}" if pause.until is not None else ""
    end = _END_UNREAD if pause.end_unread else ""
    return f"Nothing is changed on the server{until}, by {PAUSES[pause.by].format(server='/'.join(server))}{end}"


def _filled(text: str, one: WhatsAppInstance) -> str:
    if "{" not in text:
        return text
    namespace, server = one.server_key
    return text.format(
        name=one.metadata.name,
        namespace=one.metadata.namespace,
        secret=one.pairing_secret_name,
        keepsake=one.keepsake_secret_name,
        server=f"{namespace}/{server}",
        instance=one.remote_name,
        token_secret=one.token_secret.name,
        token_key=one.token_secret.key,
        pairing=Request.PAIRING.annotation,
        reset=Request.RESET.annotation,
        approve=names.APPROVE,
    )
