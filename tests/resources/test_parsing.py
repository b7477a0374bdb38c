from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from resources.objects import Body, instance_body, server_body
from whatsapp_operator.resources import errors, parsing, references
from whatsapp_operator.resources.instance import Integration, PairingMode
from whatsapp_operator.resources.overrides import HealthOverrides, RecoveryOverrides
from whatsapp_operator.resources.status import WhatsAppInstanceStatus
from whatsapp_operator.resources.webhook import WebhookEvent

BUSINESS: Body = {"integration": "WHATSAPP-BUSINESS", "number": "123456", "tokenSecretRef": {"name": "meta"}}


def without(body: Body, *path: str) -> Body:
    *parents, last = path
    inner: Any = body
    for name in parents:
        inner = inner[name]
    del inner[last]
    return body


def test_least_instance_is_understood_and_named_after_its_resource() -> None:
    found = parsing.parse_instance(instance_body("shop"))

    assert found.remote_name == "shop"
    assert found.server_key == ("messaging", "main")
    assert found.token_secret == references.TokenReference(name="shop-token", key="token")
    assert found.pairing_secret_name == "shop-pairing"  # noqa: S105 - the name of a Secret
    assert found.spec.integration is Integration.BAILEYS
    assert found.spec.pairing.mode is PairingMode.ON_DEMAND
    assert found.spec.deletion_policy is None
    assert found.status == WhatsAppInstanceStatus(observed_generation=-1)


def test_names_that_are_given_go_before_those_that_are_derived() -> None:
    found = parsing.parse_instance(
        instance_body(
            "a.dotted.name",
            serverRef={"name": "main", "namespace": "servers"},
            instanceName="User_1",
            tokenSecretRef={"name": "mine", "key": "secret"},
        )
    )

    assert found.remote_name == "User_1"
    assert found.server_key == ("servers", "main")
    assert found.token_secret == references.TokenReference(name="mine", key="secret")


@pytest.mark.parametrize("kind", [HealthOverrides, RecoveryOverrides])
def test_every_span_can_be_one_second(kind: type[HealthOverrides | RecoveryOverrides]) -> None:
    spans = [name for name in kind.model_fields if name.endswith("_seconds")]

    assert spans
    assert kind.model_validate(dict.fromkeys(spans, 1)).model_dump(exclude_none=True) == dict.fromkeys(spans, 1)


def test_business_instance_with_number_and_token_is_understood() -> None:
    assert parsing.parse_instance(instance_body(**BUSINESS, businessId="987")).spec.business_id == "987"


def test_field_of_a_newer_schema_is_passed_over() -> None:
    assert parsing.parse_instance(instance_body(fromTheFuture={"x": 1})) == parsing.parse_instance(instance_body())


def test_events_are_those_of_the_recorded_server() -> None:
    webhook = {"url": "https://shop.example.com", "events": [event.value for event in WebhookEvent]}

    found = parsing.parse_instance(instance_body(webhook=webhook)).spec.webhook

    assert found is not None
    assert len(found.events) == 31


BAD_INSTANCES: Mapping[str, tuple[Body, str, str]] = {
    "no server": (without(instance_body(), "spec", "serverRef"), "spec.serverRef", "is required: set it"),
    "no spec": (without(instance_body(), "spec"), "spec.serverRef", "is required"),
    "spec of another type": (instance_body() | {"spec": []}, "spec", "must be an object"),
    "unknown integration": (instance_body(integration="SMOKE"), "spec.integration", "must be 'WHATSAPP-BAILEYS'"),
    "unknown pairing mode": (instance_body(pairing={"mode": "Later"}), "spec.pairing.mode", "'OnDemand', 'Always'"),
    "unknown deletion policy": (instance_body(deletionPolicy="Keep"), "spec.deletionPolicy", "'Delete' or 'Retain'"),
    "unknown recovery mode": (instance_body(recovery={"mode": "On"}), "spec.recovery.mode", "'Enabled', 'DryRun'"),
    "unknown event": (
        instance_body(webhook={"url": "http://a", "events": ["CALL", "NEWS"]}),
        "spec.webhook.events[1]",
        "'MESSAGES_UPSERT'",
    ),
    "no event": (instance_body(webhook={"url": "http://a", "events": []}), "spec.webhook.events", "at least 1 item"),
    "webhook without scheme": (
        instance_body(webhook={"url": "shop.example.com", "events": ["CALL"]}),
        "spec.webhook.url",
        "begins with http:// or https://",
    ),
    "webhook with a password": (
        instance_body(webhook={"url": "http://me:hush@shop.example.com", "events": ["CALL"]}),
        "spec.webhook.url",
        "webhook.headersSecretRef",
    ),
    "name that is no path segment": (instance_body(instanceName="a/b"), "spec.instanceName", "begin with a letter"),
    "name of every object": (instance_body(instanceName="toString"), "spec.instanceName", "choose another"),
    "resource named as every object": (instance_body("constructor"), "metadata.name", "choose another"),
    "dotted name of the resource": (instance_body("a.b"), "metadata.name", "set spec.instanceName"),
    "long name of the resource": (instance_body("a" * 241, instanceName="a"), "metadata.name", "a shorter one"),
    "span of no time": (instance_body(health={"stuckTimeoutSeconds": 0}), "spec.health.stuckTimeoutSeconds", "to 1"),
    "span that is a word": (instance_body(health={"checkPeriodSeconds": "x"}), "spec.health.checkPeriodSeconds", "who"),
    "no attempts": (instance_body(recovery={"maxAttempts": 0}), "spec.recovery.maxAttempts", "equal to 1"),
    "long text for callers": (instance_body(settings={"msgCall": "x" * 101}), "spec.settings.msgCall", "100"),
    "business without number": (
        instance_body(integration="WHATSAPP-BUSINESS", tokenSecretRef={"name": "meta"}),
        "spec.number",
        "phone number id of Meta",
    ),
    "business without token": (
        instance_body(integration="WHATSAPP-BUSINESS", number="123456"),
        "spec.tokenSecretRef",
        "put the token of Meta into a Secret",
    ),
    "number with a plus": (instance_body(**BUSINESS | {"number": "+123"}), "spec.number", "digits only"),
    "number without effect": (instance_body(number="123456"), "spec.number", "remove it"),
    "business id without effect": (instance_body(businessId="1"), "spec.businessId", "remove it"),
    "name of no namespace": (
        instance_body(serverRef={"name": "main", "namespace": "A.b"}),
        "spec.serverRef.namespace",
        "name of a namespace",
    ),
    "end of a pause that is no time": (instance_body(pause={"until": "soon"}), "spec.pause.until", "datetime"),
}


@pytest.mark.parametrize(("body", "field", "cure"), BAD_INSTANCES.values(), ids=BAD_INSTANCES)
def test_bad_instance_is_refused_with_field_and_cure(body: Body, field: str, cure: str) -> None:
    with pytest.raises(errors.InvalidResource) as refused:
        parsing.parse_instance(body)

    assert [problem.field for problem in refused.value.problems] == [field]
    assert cure in str(refused.value)


BAD_SERVERS: Mapping[str, tuple[Body, str, str]] = {
    "no key": (without(server_body(), "spec", "apiKeySecretRef"), "spec.apiKeySecretRef", "is required"),
    "no scheme": (server_body(url="evolution:8080"), "spec.url", "http:// or https://"),
    "another scheme": (server_body(url="ftp://evolution"), "spec.url", "http:// or https://"),
    "no host": (server_body(url="http:///manager"), "spec.url", "absolute URL"),
    "user": (server_body(url="http://me:hush@evolution"), "spec.url", "spec.apiKeySecretRef"),
    "query": (server_body(url="http://evolution?instanceName=other"), "spec.url", "query or fragment"),
    "fragment": (server_body(url="http://evolution/#top"), "spec.url", "query or fragment"),
    "backslash": (server_body(url="http://evolution\\@other"), "spec.url", ""),
    "space": (server_body(url="http://evolution/a b"), "spec.url", "remove them"),
    "long": (server_body(url="http://" + "a" * 512), "spec.url", "512"),
    "pattern": (server_body(allowedNamespaces=["shop", "team-*"]), "spec.allowedNamespaces[1]", "'*' for all"),
    "no requests": (server_body(requests={"perSecond": 0}), "spec.requests.perSecond", "equal to 1"),
    "secret's name": (server_body(apiKeySecretRef={"name": "Mine"}), "spec.apiKeySecretRef.name", "lower-case"),
    "secret's key": (server_body(apiKeySecretRef={"name": "a", "key": "b/c"}), "spec.apiKeySecretRef.key", "letters"),
}


@pytest.mark.parametrize(("body", "field", "cure"), BAD_SERVERS.values(), ids=BAD_SERVERS)
def test_bad_server_is_refused_with_field_and_cure(body: Body, field: str, cure: str) -> None:
    with pytest.raises(errors.InvalidResource) as refused:
        parsing.parse_server(body)

    assert [problem.field for problem in refused.value.problems] == [field]
    assert cure in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["http://evolution:8080", "https://evolution.example.com/api/", "http://[2001:db8::1]:8080", "http://a/b@c"],
)
def test_url_without_user_query_and_fragment_is_understood(url: str) -> None:
    assert parsing.parse_server(server_body(url=url)).spec.url == url


def test_least_server_is_understood() -> None:
    found = parsing.parse_server(server_body())

    assert found.spec.api_key_secret_ref.key == "apikey"
    assert found.spec.allowed_namespaces == ()
    assert (found.spec.requests.per_second, found.spec.requests.max_in_flight) == (20, 8)
    assert found.status.observed_generation == -1


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(errors.InvalidResource) as refused:
        parsing.parse_instance(instance_body(integration="SMOKE", deletionPolicy="Keep"))

    assert [problem.field for problem in refused.value.problems] == ["spec.integration", "spec.deletionPolicy"]


def test_refusal_never_repeats_what_was_written() -> None:
    with pytest.raises(errors.InvalidResource) as refused:
        parsing.parse_server(server_body(url="http://me:canary-4711@evolution"))

    assert "canary-4711" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_metadata_of_an_instance_whose_spec_is_bad_can_be_read() -> None:
    found = parsing.parse_metadata(instance_body("shop", integration="SMOKE"))

    assert found.key == ("messaging", "shop")
    assert found.generation == 3


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"name": "main"}, ("messaging", "main")),
        ({"name": "main", "namespace": "servers"}, ("servers", "main")),
        ({"name": "Not A Name"}, None),
        ({"namespace": "servers"}, None),
        ({"name": "main", "zone": "a"}, ("messaging", "main")),
        ("main", None),
        (None, None),
    ],
)
def test_server_of_an_instance_whose_spec_is_bad_can_be_read_where_it_is_named(
    reference: object, expected: tuple[str, str] | None
) -> None:
    body = instance_body("shop", integration="SMOKE", serverRef=reference)

    assert parsing.parse_server_key(body) == expected


@pytest.mark.parametrize("spec", ["none", [], None])
def test_server_of_an_instance_without_a_spec_cannot_be_read(spec: object) -> None:
    assert parsing.parse_server_key({**instance_body("shop"), "spec": spec}) is None
    assert parsing.parse_server_key({"metadata": {"name": "shop"}}) is None


@pytest.mark.parametrize(
    "status",
    [
        {"observedGeneration": 3, "healthState": "Enlightened"},
        {"observedGeneration": 3, "reason": "no word"},
        {"observedGeneration": "many"},
        {"observedGeneration": 3, "recovery": {"attempts": -1}},
        "fine",
        [],
    ],
)
def test_status_that_cannot_be_read_is_a_fresh_one_and_hides_no_spec(status: object) -> None:
    found = parsing.parse_instance(instance_body(status=status, instanceName="other"))

    assert found.status == WhatsAppInstanceStatus()
    assert found.remote_name == "other"


def test_condition_of_somebody_else_costs_nothing_but_itself() -> None:
    ours = {
        "type": "Ready",
        "status": "True",
        "reason": "Healthy",
        "message": "Well.",
        "lastTransitionTime": "2026-11-23T10:00:00Z",
    }
    theirs = ours | {"type": "example.com/Blessed"}

    found = parsing.parse_instance_status({"status": {"observedGeneration": 2, "conditions": [theirs, ours]}})

    assert found.observed_generation == 2
    assert [condition.last_transition_time for condition in found.conditions] == [
        datetime(2026, 11, 23, 10, tzinfo=UTC)
    ]


def test_server_status_is_read_as_leniently() -> None:
    found = parsing.parse_server(server_body(status={"observedGeneration": 1, "instances": {"managed": -4}}))

    assert found.status.observed_generation == -1
