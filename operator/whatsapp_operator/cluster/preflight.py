"""Preflight: is everything in place that the operator needs of the cluster?

Without its CustomResourceDefinitions or its permissions a watch sees nothing, and says so nowhere that people look. So
before each start of the watch the operator asks: are both kinds served, and may I do all that I have to? What is
missing is told in sentences that name the cure; until nothing is, the operator is not ready and does nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

import structlog

from whatsapp_operator.cluster import permissions, transport
from whatsapp_operator.engine import ports
from whatsapp_operator.resources import names

_REVIEWS_AT_ONCE = 8
_REVIEW_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_log = structlog.get_logger(__name__)


async def wait(
    calls: transport.Transport,
    *,
    namespaces: Sequence[str] = (),
    lease_namespace: str,
    sleep: ports.Sleep,
    report: Callable[[Sequence[str]], None],
    period_seconds: float = 5,
) -> None:
    """Return when nothing is missing; until then `report` what is, and log it once for as long as it stays the same."""
    told: Sequence[str] | None = None
    while lacking := await missing(calls, namespaces=namespaces, lease_namespace=lease_namespace):
        report(lacking)
        if lacking != told:
            _log.error("the cluster lacks what the operator needs", missing=lacking)
        told = lacking
        await sleep(period_seconds)
    report(())
    _log.info("the cluster has all that the operator needs")


async def missing(calls: transport.Transport, *, namespaces: Sequence[str] = (), lease_namespace: str) -> Sequence[str]:
    """What is missing, in sentences; empty when the operator may start. Raises nothing of the API's."""
    try:
        return [
            *await _missing_kinds(calls),
            *await _missing_permissions(calls, namespaces),
            *await _missing_own_permissions(calls, lease_namespace),
        ]
    except ports.Forbidden as error:
        return [f"The Kubernetes API refuses the login: check the service account or the kubeconfig ({error})."]
    except ports.KubernetesError as error:
        return [f"The Kubernetes API does not answer: check that it is reachable from here ({error})."]


async def _missing_kinds(calls: transport.Transport) -> Iterable[str]:
    path = transport.path("apis", names.GROUP, names.VERSION)
    try:
        served = await calls.call(transport.Call("get", "discovery", path))
    except ports.NotFound:
        served = {}
    plurals = {found["name"] for found in cast("Sequence[Mapping[str, object]]", served.get("resources") or ())}
    return [_no_kind(plural) for plural in permissions.PLURALS.values() if plural not in plurals]


def _no_kind(plural: str) -> str:
    definition = f"{plural}.{names.GROUP}"
    return f"CustomResourceDefinition {definition} ({names.VERSION}) is not installed: kubectl apply -k crds."


async def _missing_permissions(calls: transport.Transport, namespaces: Sequence[str]) -> Iterable[str]:
    limit = asyncio.Semaphore(_REVIEWS_AT_ONCE)
    asked = [(namespace, one) for namespace in namespaces or ("",) for one in permissions.PERMISSIONS]
    answers = await asyncio.gather(*(_allowed(calls, limit, namespace, one) for namespace, one in asked))
    return _refusals(pair for pair, allowed in zip(asked, answers, strict=True) if not allowed)


async def _missing_own_permissions(calls: transport.Transport, namespace: str) -> Iterable[str]:
    limit = asyncio.Semaphore(_REVIEWS_AT_ONCE)
    asked = permissions.OWN_PERMISSIONS
    answers = await asyncio.gather(*(_allowed(calls, limit, namespace, one) for one in asked))
    pairs = zip(asked, answers, strict=True)
    refused = ", ".join(f"{one.verb} {one.resource}" for one, allowed in pairs if not allowed)
    return [_no_own(namespace, refused)] if refused else []


def _no_own(namespace: str, refused: str) -> str:
    return (
        f"The operator may not {refused} in namespace {namespace}, where its replicas agree who works on which "
        "server, and where everything can be paused: bind the Role whatsapp-operator-own to its service account (it is "
        "part of both installations), or name its own namespace by --lease-namespace."
    )


async def _allowed(
    calls: transport.Transport, limit: asyncio.Semaphore, namespace: str, asked: permissions.Permission
) -> bool:
    async with limit:
        answer = await calls.call(
            transport.Call("create", "selfsubjectaccessreviews", _REVIEW_PATH, body=_review(namespace, asked))
        )
    return cast("Mapping[str, object]", answer.get("status") or {}).get("allowed") is True


def _review(namespace: str, asked: permissions.Permission) -> Mapping[str, object]:
    resource, _, subresource = asked.resource.partition("/")
    attributes = {"group": asked.group, "resource": resource, "subresource": subresource, "verb": asked.verb}
    if asked.name:
        attributes["name"] = asked.name
    if namespace:
        attributes["namespace"] = namespace
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }


def _refusals(refused: Iterable[tuple[str, permissions.Permission]]) -> Iterable[str]:
    verbs: dict[tuple[str, str], list[str]] = {}
    for namespace, one in refused:
        verbs.setdefault((namespace, one.resource), []).append(one.verb)
    return [_no_permission(namespace, resource, found) for (namespace, resource), found in verbs.items()]


def _no_permission(namespace: str, resource: str, verbs: Sequence[str]) -> str:
    where, role, rules = (
        (f"namespace {namespace}", "Role", "manifests/namespaced/role.yaml")
        if namespace
        else ("all namespaces", "ClusterRole", "manifests/cluster-role.yaml")
    )
    return (
        f"The operator may not {', '.join(verbs)} {resource} in {where}: "
        f"bind its own service account to a {role} with the rules of {rules} (the Helm chart does with rbac.create)."
    )
