"""The instance's token: in a Secret before the create, so that a create that got no answer is known as ours."""

from __future__ import annotations

from whatsapp_operator.engine import owned, ports
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.subject import Token
from whatsapp_operator.evolution import evidence
from whatsapp_operator.resources import instance
from whatsapp_operator.resources.instance import DeletionPolicy, Integration
from whatsapp_operator.resources.reasons import Reason

_TOKEN_BITS = 160


class TokenMissing(owned.Withheld):
    """The Secret is there, without a text under the key, or goes with another resource; it is not overwritten."""

    why = Reason.SECRET_NOT_OURS


class TokenAbsent(TokenMissing):
    """There is no Secret, and the token that belongs into it is none that can be made up."""

    why = Reason.TOKEN_NOT_FOUND


def known(draft: Draft) -> Token | None:
    """The token that was read before, from where the spec says that it is."""
    token, reference = draft.subject.token, draft.instance.token_secret
    return token if token is not None and token.place == (reference.name, reference.key) else None


async def find(context: Context, draft: Draft) -> Token | None:
    """The token in its Secret, or None when there is no Secret.

    Raises:
        TokenMissing: the Secret lacks the key, or is another resource's.
        ports.KubernetesError: it could not be read, or is about to go.
    """
    reference = draft.instance.token_secret
    try:
        secret = await context.kubernetes.read_secret(ports.Key(draft.subject.key.namespace, reference.name))
    except ports.NotFound:
        return None
    metadata = draft.instance.metadata
    if secret.goes_at_once(metadata.uid, name=metadata.name):
        raise ports.Unavailable("the Secret of the token goes with the resource before this one")
    if secret.goes_with_another(metadata.uid):
        # The instance would be left with a token that is in no Secret.
        raise TokenMissing
    value = secret.text(reference.key)
    if not value:
        raise TokenMissing
    return Token(value=value.strip(), generated=secret.managed, place=(reference.name, reference.key))


async def ensure(context: Context, draft: Draft) -> Token:
    """The token in its Secret, generated when there is none.

    Raises:
        TokenMissing: the Secret lacks the key, or is another resource's.
        TokenAbsent: it is Meta's, and there is no Secret yet.
        ports.KubernetesError: it could not be read or created.
    """
    one = draft.subject
    one.token = known(draft)
    if one.token is None and draft.instance.spec.token_secret_ref is not None:
        one.token = await find(context, draft)
    if one.token is None and draft.instance.spec.integration is Integration.BUSINESS:
        raise TokenAbsent
    if one.token is None:
        one.token = await _generate(context, draft)
    return one.token


async def _generate(context: Context, draft: Draft) -> Token:
    reference, one = draft.instance.token_secret, draft.subject
    # Its clients have the token of the instance that stands now, also where its Secret was deleted.
    value = _of_the_present_one(draft) or f"{context.random.getrandbits(_TOKEN_BITS):040X}"
    metadata = draft.instance.metadata
    owner = ports.Owner(kind=instance.KIND, name=metadata.name, uid=metadata.uid)
    try:
        await context.kubernetes.create_secret(
            ports.Key(one.key.namespace, reference.name),
            {reference.key: value.encode()},
            # Under Retain the instance outlives its resource, and so must the token that opens it.
            owner=owner if draft.deletion_policy is DeletionPolicy.DELETE else None,
        )
    except ports.Conflict:
        # There is one, of an earlier pass or of the user: what it holds counts, and it is not overwritten.
        found = await find(context, draft)
        if found is None:
            raise
        return found
    return Token(value=value, generated=True, place=(reference.name, reference.key))


def _of_the_present_one(draft: Draft) -> str | None:
    row = draft.subject.record.row
    return row.token if row is not None and row.id == draft.instance_id else None


async def is_that_of(context: Context, draft: Draft, row: evidence.Row) -> bool:
    """Whether the Secret holds the token that the instance has; also where the server shows none.

    Raises:
        TokenMissing: the Secret lacks the key, or is another resource's.
        ports.KubernetesError: it could not be read, or is about to go.
    """
    if row.token is None:
        return True
    token = known(draft) or await find(context, draft)
    return token is not None and token.value == row.token


async def outlive(context: Context, draft: Draft) -> None:
    """Let the token stay when its resource goes: the instance does, and its clients need it.

    Raises:
        ports.KubernetesError: the Secret could not be read or changed.
    """
    await owned.let_stay(context, draft, draft.instance.token_secret.name)
