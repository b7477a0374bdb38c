"""Where an Evolution API server sends an instance's events."""

from __future__ import annotations

import enum
from typing import Annotated

from pydantic import Field

from whatsapp_operator.resources import references, rules
from whatsapp_operator.resources.model import Model


class WebhookEvent(enum.StrEnum):
    """The events that Evolution API 2.3.6 and 2.3.7 accept (from the error text of `POST /webhook/set`)."""

    APPLICATION_STARTUP = "APPLICATION_STARTUP"
    QRCODE_UPDATED = "QRCODE_UPDATED"
    MESSAGES_SET = "MESSAGES_SET"
    MESSAGES_UPSERT = "MESSAGES_UPSERT"
    MESSAGES_EDITED = "MESSAGES_EDITED"
    MESSAGES_UPDATE = "MESSAGES_UPDATE"
    MESSAGES_DELETE = "MESSAGES_DELETE"
    SEND_MESSAGE = "SEND_MESSAGE"
    SEND_MESSAGE_UPDATE = "SEND_MESSAGE_UPDATE"
    CONTACTS_SET = "CONTACTS_SET"
    CONTACTS_UPSERT = "CONTACTS_UPSERT"
    CONTACTS_UPDATE = "CONTACTS_UPDATE"
    PRESENCE_UPDATE = "PRESENCE_UPDATE"
    CHATS_SET = "CHATS_SET"
    CHATS_UPSERT = "CHATS_UPSERT"
    CHATS_UPDATE = "CHATS_UPDATE"
    CHATS_DELETE = "CHATS_DELETE"
    GROUPS_UPSERT = "GROUPS_UPSERT"
    GROUP_UPDATE = "GROUP_UPDATE"
    GROUP_PARTICIPANTS_UPDATE = "GROUP_PARTICIPANTS_UPDATE"
    CONNECTION_UPDATE = "CONNECTION_UPDATE"
    LABELS_EDIT = "LABELS_EDIT"
    LABELS_ASSOCIATION = "LABELS_ASSOCIATION"
    CALL = "CALL"
    TYPEBOT_START = "TYPEBOT_START"
    TYPEBOT_CHANGE_STATUS = "TYPEBOT_CHANGE_STATUS"
    REMOVE_INSTANCE = "REMOVE_INSTANCE"
    LOGOUT_INSTANCE = "LOGOUT_INSTANCE"
    INSTANCE_CREATE = "INSTANCE_CREATE"
    INSTANCE_DELETE = "INSTANCE_DELETE"
    STATUS_INSTANCE = "STATUS_INSTANCE"


WebhookURL = Annotated[
    str,
    Field(min_length=1, max_length=2048),
    rules.Matches(r"^https?://[^/?#\s]+", "must be an absolute URL that begins with http:// or https://"),
    rules.Matches(
        r"^[^/]*//[^/?#]*@",
        "must not carry a user or password: put credentials into a Secret and name it in webhook.headersSecretRef",
        unless=True,
    ),
    rules.Matches(r"\s", "must not contain spaces: percent-encode them", unless=True),
]


class Webhook(Model):
    """The webhook of an instance."""

    url: WebhookURL = Field(description="Where events are sent, http or https.")
    events: tuple[WebhookEvent, ...] = Field(
        min_length=1,
        max_length=31,
        description="The events that are sent.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    headers_secret_ref: references.SecretReference | None = Field(
        default=None,
        description="A Secret whose keys and values are sent as HTTP headers with each event, for example "
        "`Authorization`.",
    )
    by_events: bool = Field(
        default=False, description="Send each event to a path of its own below the URL, for example /messages-upsert."
    )
    base64: bool = Field(default=False, description="Send media within the event, encoded as base64.")
