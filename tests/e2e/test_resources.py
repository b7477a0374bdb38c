"""What the API server makes of our resources."""

from typing import Any

import pytest
import yaml

from e2e import kube

GROUP = "whatsapp-operator.dev"

Object = dict[str, Any]


def instance(name: str = "shop", **spec: object) -> Object:
    return _object("WhatsAppInstance", name, {"serverRef": {"name": "main"}} | spec)


def server(name: str = "main", **spec: object) -> Object:
    least = {"url": "http://evolution-api.messaging.svc:8080", "apiKeySecretRef": {"name": "evolution-api"}}
    return _object("EvolutionServer", name, least | spec)


def _object(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def webhook(**changes: object) -> Object:
    return {"url": "https://shop.example.com/hook", "events": ["MESSAGES_UPSERT"]} | changes


def business(**changes: object) -> Object:
    spec: Object = {
        "integration": "WHATSAPP-BUSINESS",
        "number": "123456",
        "tokenSecretRef": {"name": "meta"},
    } | changes
    return instance(**{field: value for field, value in spec.items() if value is not None})


@pytest.fixture(scope="module")
def visitor(cluster: kube.Cluster) -> kube.Kubectl:
    """kubectl for what leaves nothing behind: refused or only tried out."""
    return cluster.kubectl.within("default")


def refusal(kubectl: kube.Kubectl, wanted: Object) -> str:
    """What a person reads when `kubectl apply` is refused."""
    with pytest.raises(kube.KubectlError) as refused:
        kubectl.apply(yaml.safe_dump(wanted))
    return refused.value.stderr


GOOD = {
    "least instance": instance(),
    "resource named as every object, with a name on the server": instance("constructor", instanceName="shop"),
    "dotted name with a name on the server": instance("a.dotted.name", instanceName="User_1"),
    "every second counts": instance(
        health=dict.fromkeys(
            [
                "checkPeriodSeconds",
                "databasePeriodSeconds",
                "checkTimeoutSeconds",
                "stuckTimeoutSeconds",
                "minHealthySeconds",
            ],
            1,
        ),
        recovery={"mode": "DryRun", "maxAttempts": 1, "retryDelaySeconds": 1, "stepTimeoutSeconds": 1},
        pairing={"mode": "Always", "windowSeconds": 1},
    ),
    "settings, webhook and pause": instance(
        settings={"rejectCall": True, "msgCall": "Please write."},
        webhook=webhook(headersSecretRef={"name": "hook"}, byEvents=True, base64=True),
        pause={"reason": "moving house", "until": "2026-12-01T06:00:00Z"},
        deletionPolicy="Retain",
    ),
    "business": business(businessId="1"),
    "evolution channel": instance(integration="EVOLUTION"),
    "least server": server(),
    "server with everything": server(
        url="https://[2001:db8::1]:8443/api/",
        caBundleSecretRef={"name": "ca"},
        metricsAuthSecretRef={"name": "metrics"},
        clientName="evolution",
        allowedNamespaces=["shop", "*"],
        requests={"perSecond": 1},
        health={"checkPeriodSeconds": 1},
        recovery={"mode": "Disabled"},
    ),
}


@pytest.mark.parametrize("wanted", GOOD.values(), ids=GOOD)
def test_good_resource_is_accepted(visitor: kube.Kubectl, wanted: Object) -> None:
    assert "created" in visitor.apply(yaml.safe_dump(wanted), "--dry-run=server")


BAD = {
    "no server": (
        _object("WhatsAppInstance", "shop", {"instanceName": "shop"}),
        "spec.serverRef: Required value",
    ),
    "unknown field": (instance(colour="red"), 'unknown field "spec.colour"'),
    "unknown integration": (
        instance(integration="SMOKE"),
        'spec.integration: Unsupported value: "SMOKE": supported values: "WHATSAPP-BAILEYS"',
    ),
    "unknown event": (
        instance(webhook=webhook(events=["NEWS"])),
        'spec.webhook.events[0]: Unsupported value: "NEWS": supported values: "APPLICATION_STARTUP"',
    ),
    "event given twice": (
        instance(webhook=webhook(events=["CALL", "CALL"])),
        'spec.webhook.events[1]: Duplicate value: "CALL"',
    ),
    "no event": (instance(webhook=webhook(events=[])), "spec.webhook.events in body should have at least 1 items"),
    "webhook without scheme": (
        instance(webhook=webhook(url="shop.example.com")),
        'spec.webhook.url: Invalid value: "shop.example.com": must be an absolute URL that begins with http://',
    ),
    "webhook with a password": (instance(webhook=webhook(url="http://me:hush@shop")), "webhook.headersSecretRef"),
    "name that is no path segment": (
        instance(instanceName="a/b"),
        'spec.instanceName: Invalid value: "a/b": must begin with a letter or digit',
    ),
    "dotted name without a name on the server": (
        instance("a.b"),
        "metadata.name becomes the instance's name on the server",
    ),
    "name of every object": (
        instance(instanceName="constructor"),
        'spec.instanceName: Invalid value: "constructor": must be no name that every JavaScript object has',
    ),
    "resource named as every object": (instance("constructor"), "set spec.instanceName or choose another"),
    "long name": (instance("a" * 241, instanceName="a"), "metadata.name must be at most 240 characters"),
    "no time": (
        instance(health={"stuckTimeoutSeconds": 0}),
        "spec.health.stuckTimeoutSeconds in body should be greater than or equal to 1",
    ),
    "endless time": (
        instance(recovery={"stepTimeoutSeconds": 10**7}),
        "spec.recovery.stepTimeoutSeconds in body should be less than or equal to 604800",
    ),
    "end of a pause that is no time": (instance(pause={"until": "soon"}), "spec.pause.until in body must be of type"),
    "long text for callers": (instance(settings={"msgCall": "x" * 101}), "spec.settings.msgCall: Too long"),
    "business without number": (business(number=None), "spec.number: Required value: is required for the integration"),
    "business without token": (business(tokenSecretRef=None), "spec.tokenSecretRef: Required value: is required for"),
    "number with a plus": (business(number="+123"), 'spec.number: Invalid value: "+123": must be digits only'),
    "number without effect": (instance(number="123456"), "spec.number: Forbidden: has no effect"),
    "business id without effect": (instance(businessId="1"), "spec.businessId: Forbidden: has an effect with"),
    "server without key": (
        _object("EvolutionServer", "main", {"url": "http://evolution"}),
        "spec.apiKeySecretRef: Required value",
    ),
    "URL without scheme": (server(url="evolution:8080"), 'spec.url: Invalid value: "evolution:8080": must be an absol'),
    "URL with user": (server(url="http://me@evolution"), "the server's key belongs into the Secret of spec.apiKeySec"),
    "URL with query": (server(url="http://evolution?a=b"), "must not have a query or fragment: end it after"),
    "URL with fragment": (server(url="http://evolution/#a"), "must not have a query or fragment: end it after"),
    "URL with space": (server(url="http://evolution/a b"), "must not contain spaces or backslashes: remove them"),
    "URL with backslash": (server(url="http://evolution\\@b"), "must not contain spaces or backslashes: remove them"),
    "long URL": (server(url="http://" + "a" * 512), "spec.url: Too long"),
    "pattern of namespaces": (
        server(allowedNamespaces=["team-*"]),
        "spec.allowedNamespaces[0]: Invalid value: \"team-*\": must be the name of a namespace, or '*' for all",
    ),
    "name of no Secret": (
        server(apiKeySecretRef={"name": "Mine"}),
        'spec.apiKeySecretRef.name: Invalid value: "Mine": must be the name of a Kubernetes object',
    ),
    "no requests": (server(requests={"perSecond": 0}), "spec.requests.perSecond in body should be greater than or"),
}


@pytest.mark.parametrize(("wanted", "told"), BAD.values(), ids=BAD)
def test_bad_resource_is_refused_with_field_and_cure(visitor: kube.Kubectl, wanted: Object, told: str) -> None:
    assert told in refusal(visitor, wanted)


IMMUTABLE = {
    "server changed": (instance(), instance(serverRef={"name": "other"}), "spec.serverRef"),
    "server's namespace added": (instance(), instance(serverRef={"name": "main", "namespace": "a"}), "spec.serverRef"),
    "integration changed": (instance(), instance(integration="EVOLUTION"), "spec.integration"),
    "name changed": (instance(instanceName="a"), instance(instanceName="b"), "spec.instanceName"),
    "name added": (instance(), instance(instanceName="shop"), "spec.instanceName"),
    "name removed": (instance(instanceName="a"), instance(), "spec.instanceName"),
    "number changed": (business(), business(number="654321"), "spec.number"),
    "business id removed": (business(businessId="1"), business(), "spec.businessId"),
}


@pytest.mark.parametrize(("before", "after", "field"), IMMUTABLE.values(), ids=IMMUTABLE)
def test_what_makes_the_instance_cannot_be_changed(
    kubectl: kube.Kubectl, before: Object, after: Object, field: str
) -> None:
    kubectl.apply(yaml.safe_dump(before))

    told = refusal(kubectl, after)

    assert f"{field}: Forbidden: cannot be changed" in told
    assert "delete this resource and create another one" in told


def test_everything_else_can_be_changed(kubectl: kube.Kubectl) -> None:
    kubectl.apply(yaml.safe_dump(instance()))

    changed = instance(
        tokenSecretRef={"name": "mine"},
        webhook=webhook(),
        settings={"groupsIgnore": True},
        pairing={"mode": "Never"},
        recovery={"mode": "Disabled"},
        deletionPolicy="Retain",
        pause={},
    )

    assert "configured" in kubectl.apply(yaml.safe_dump(changed))
    assert "configured" in kubectl.apply(yaml.safe_dump(instance()))


@pytest.mark.parametrize("new", [instance(), server()], ids=["instance", "server"])
def test_new_object_has_not_been_observed(kubectl: kube.Kubectl, new: Object) -> None:
    kubectl.apply(yaml.safe_dump(new))

    found = kubectl.json("get", new["kind"], new["metadata"]["name"])

    assert found["status"] == {"observedGeneration": -1}
    assert found["metadata"]["generation"] == 1


def test_instance_is_not_given_what_its_server_can_default(kubectl: kube.Kubectl) -> None:
    kubectl.apply(yaml.safe_dump(instance(settings={}, tokenSecretRef={"name": "mine"})))

    assert kubectl.json("get", "wai", "shop")["spec"] == {
        "serverRef": {"name": "main"},
        "integration": "WHATSAPP-BAILEYS",
        "pairing": {"mode": "OnDemand", "windowSeconds": 600},
        "tokenSecretRef": {"name": "mine", "key": "token"},
        "settings": {
            "rejectCall": False,
            "groupsIgnore": False,
            "alwaysOnline": False,
            "readMessages": False,
            "readStatus": False,
            "syncFullHistory": False,
            "msgCall": "",
        },
    }


def test_second_apply_changes_nothing(kubectl: kube.Kubectl) -> None:
    """Once a status is stored: until then the first write of any kind stores the status that is filled in."""
    wanted = yaml.safe_dump(instance(webhook=webhook(), recovery={"mode": "DryRun"}))
    kubectl.apply(wanted, "--server-side")
    kubectl("patch", "wai", "shop", "--type=merge", "--subresource=status", "-p", "status: {observedGeneration: 1}")
    before = kubectl.json("get", "wai", "shop")["metadata"]["resourceVersion"]

    kubectl.apply(wanted, "--server-side")

    assert kubectl.json("get", "wai", "shop")["metadata"]["resourceVersion"] == before


def test_status_can_be_written_in_full_and_is_kept_apart_from_the_spec(kubectl: kube.Kubectl) -> None:
    kubectl.apply(yaml.safe_dump(instance()))
    moment = "2026-11-23T10:00:00Z"
    step = {"step": "Restart", "reason": "Connecting", "incident": "20261123-7f3a", "startTime": moment}
    status = {
        "observedGeneration": 1,
        "healthState": "Stuck",
        "reason": "Connecting",
        "connection": {
            "state": "connecting",
            "since": moment,
            "code": 401,
            "disconnectionAt": "2026-11-23T09:59:58.123Z",
            "turning": {"since": moment, "rowUpdatedAt": "2026-11-22T09:59:58.123Z"},
        },
        "instanceID": "5f0c0a7e",
        "paired": True,
        "pairing": {"secretName": "shop-pairing", "expires": moment},
        "recovery": {
            "incident": "20261123-7f3a",
            "startedAt": moment,
            "attempts": 2,
            "reconnects": 0,
            "relogins": 0,
            "recreates": 0,
            "lastResortSince": moment,
            "deafSince": moment,
            "approval": {"token": "Recreate-20261123-7f3a-5f0c0a7e-1", "expires": moment},
            "approvals": 1,
            "inFlight": {"step": "Restart", "class": "Soft", "since": moment},
            "planned": {"step": "Restart", "at": moment},
            "blockedBy": ["RetryDelay"],
            "history": [step | {"endTime": moment, "result": "Failed"}],
        },
        "lastHandled": {"restart": "now", "approve": "Recreate-20261123-7f3a-5f0c0a7e-0"},
        "keepsake": "shop-keepsake",
        "keepsakeDigest": "0" * 64,
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "Connecting",
                "message": "It has been connecting for over 30 s; a restart is under way.",
                "lastTransitionTime": moment,
                "observedGeneration": 1,
            }
        ],
    }

    patch = yaml.safe_dump({"status": status})
    kubectl("patch", "wai", "shop", "--type=merge", "--subresource=status", "-p", patch)

    found = kubectl.json("get", "wai", "shop")
    assert found["status"] == status
    assert found["metadata"]["generation"] == 1
    assert kubectl("get", "wai", "shop", "--no-headers").split()[:5] == ["shop", "False", "Stuck", "Connecting", "main"]
    wide = kubectl("get", "wai", "shop", "--no-headers", "-o", "wide").split()
    assert wide[6:] == ["connecting", "5f0c0a7e", "2", "Restart"]


def test_kubectl_explains_fields_in_sentences(visitor: kube.Kubectl) -> None:
    assert "One WhatsApp session" not in visitor("explain", "wai")
    assert "keeps one WhatsApp session alive" in " ".join(visitor("explain", "wai").split())
    assert "Gentle steps in an incident" in visitor("explain", "wai.spec.recovery.maxAttempts")
    assert "AUTHENTICATION_API_KEY" in visitor("explain", "evs.spec.apiKeySecretRef")


def test_resources_are_found_by_category_and_short_names(kubectl: kube.Kubectl) -> None:
    kubectl.apply(yaml.safe_dump_all([server(), instance()]))

    assert kubectl("get", "whatsapp", "-o", "name").split() == [
        f"evolutionserver.{GROUP}/main",
        f"whatsappinstance.{GROUP}/shop",
    ]
    assert GROUP not in kubectl("get", "all", "-o", "name")
    assert kubectl("get", "wai,evs", "-o", "name").count(GROUP) == 2
