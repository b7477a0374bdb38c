"""A plugin of whatsapp-operator: one health state, and one recovery strategy.

An instance with the setting `alwaysOnline` marks itself as online when it connects (Evolution API 2.3.7,
whatsapp.baileys.service.ts: `markOnlineOnConnect`). While a linked device is online WhatsApp sends the phone no
notifications, so that whoever answers there misses messages (README of Baileys, "Receive Notifications in Whatsapp
App"). Where the resource's spec asks for the setting it is meant; where it does not, some other client of the server
has switched it on.
"""

from __future__ import annotations

from whatsapp_operator import plugins

SETTING = "alwaysOnline"


def is_always_online_though_nobody_asked_for_it(seen: plugins.Evidence) -> bool:
    """The row says that it is on, and the spec does not speak of settings."""
    return seen.settings.get(SETTING) is True and SETTING not in seen.wanted_settings


async def go_offline(instance: plugins.Instance) -> None:
    """Switch the setting off, then open the socket anew: the server takes the setting up when it connects."""
    switched = await instance.change_settings({SETTING: False})
    if isinstance(switched, plugins.Accepted):
        await instance.restart()


PHONE_SILENCED = plugins.State(
    reason="PhoneSilenced",
    state=plugins.HealthState.DEGRADED,
    sentence="It is always online, so that its phone gets no notifications. If this is meant, say so: set "
    "spec.settings.alwaysOnline of {name} to true; else it is switched off.",
    matches=is_always_online_though_nobody_asked_for_it,
)

GO_OFFLINE = plugins.Strategy(
    step="GoOffline",
    step_class=plugins.StepClass.SOFT,
    reasons=("PhoneSilenced",),
    run=go_offline,
)
