"""The story, act by act: what is done to the world, and what must then be seen.

Three instances live on one server: `shop` and `support` are paired, `newsletter` waits for its phone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from demonstration import deeds, facts

SHOP, SUPPORT, NEWSLETTER = "shop", "support", "newsletter"
SERVER = "main"


@dataclass(frozen=True, slots=True)
class Act:
    """One act. `code_of` names the instance whose QR code is shown at the end."""

    title: str
    deeds: Sequence[deeds.Deed]
    facts: Sequence[facts.Fact]
    code_of: str | None = None


ACTS = (
    Act(
        title="Three instances are declared, and get their QR codes",
        deeds=(
            deeds.apply("minimal.yaml"),
            deeds.apply("webhook-and-settings.yaml"),
            deeds.apply("two-servers-with-defaults.yaml", NEWSLETTER),
        ),
        facts=(
            facts.server_is(SERVER, ready=True),
            facts.shows_a_code(SHOP),
            facts.shows_a_code(SUPPORT),
            facts.shows_a_code(NEWSLETTER),
        ),
        code_of=SHOP,
    ),
    Act(
        title="Two of them are scanned, and become Ready",
        deeds=(deeds.scan(SHOP), deeds.scan(SUPPORT)),
        facts=(facts.is_ready(SHOP), facts.is_ready(SUPPORT), facts.shows_a_code(NEWSLETTER)),
    ),
    Act(
        title="One closes without the server noticing, and is reconnected",
        deeds=(deeds.break_(SHOP, "S5", "shop: its socket closes, and the server's database still says open"),),
        facts=(
            facts.was_mended(SHOP, step="Reconnect", because="ClosedSocket"),
            facts.was_called_for(SHOP, "connect"),
            facts.is_ready(SHOP),
            facts.is_left_alone(SUPPORT),
        ),
    ),
    Act(
        title="One is stuck while connecting, and is restarted",
        deeds=(deeds.break_(SUPPORT, "S17", "support: WhatsApp never answers its login; it hangs in connecting"),),
        facts=(
            facts.was_mended(SUPPORT, step="Restart", because="Connecting"),
            facts.was_called_for(SUPPORT, "restart"),
            facts.is_ready(SUPPORT),
            facts.is_left_alone(SHOP),
        ),
    ),
    Act(
        title="One that was never paired is corrupted, and is recreated",
        deeds=(deeds.break_(NEWSLETTER, "S2", "newsletter: its row vanishes from the server's database"),),
        facts=(
            facts.was_mended(NEWSLETTER, step="Recreate", because="RowMissing"),
            facts.was_called_for_beside_its_code(NEWSLETTER, "logout", "delete", "create"),
            facts.is_another_incarnation(NEWSLETTER),
            facts.shows_a_code(NEWSLETTER),
            facts.is_left_alone(SHOP),
            facts.is_left_alone(SUPPORT),
        ),
    ),
    Act(
        title="The server goes down, and nothing is touched",
        deeds=(deeds.shut_down(),),
        facts=(
            facts.server_is(SERVER, ready=False),
            facts.is_unknown(SHOP),
            facts.is_unknown(SUPPORT),
            facts.is_unknown(NEWSLETTER),
            facts.nothing_is_touched(seconds=10),
        ),
    ),
    Act(
        title="The server comes back, and all is as before",
        deeds=(deeds.start_up(),),
        facts=(
            facts.server_is(SERVER, ready=True),
            facts.is_ready(SHOP),
            facts.is_ready(SUPPORT),
            facts.shows_a_code(NEWSLETTER),
            facts.is_left_alone(SHOP),
            facts.is_left_alone(SUPPORT),
        ),
    ),
)
