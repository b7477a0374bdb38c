"""What is said to a caller names what to change."""

from __future__ import annotations

import pytest

from library.conftest import surroundings
from simulator.conftest import Start
from whatsapp_operator.evolution.evidence import Ignorance
from whatsapp_operator.library import AsyncInstanceManager, CleanupRefused, Reason, ServerUnknown, advice

NO_REASON = {Ignorance.BREAKER_OPEN, Ignorance.NOT_HELD}
"""What is told by another reason."""


def test_each_reason_for_which_nothing_can_be_read_has_a_cure() -> None:
    assert advice.WHY_UNKNOWN.keys() == {Reason(one.value) for one in Ignorance if one not in NO_REASON}


@pytest.mark.parametrize(
    ("url", "api_key", "reason", "named"),
    [
        ("", "the-key", Reason.REFUSED_BY_POLICY, "url begins with http:// or https://"),
        ("evolution.example.com", "the-key", Reason.REFUSED_BY_POLICY, "url begins with http:// or https://"),
        ("http://127.0.0.1:1", "the-key", Reason.CONNECTION_REFUSED, "the port in url"),
        ("{url}/manager", "the-key", Reason.NO_SUCH_ROUTE, "without /manager"),
        ("{url}", "wrong", Reason.KEY_REJECTED, "AUTHENTICATION_API_KEY"),
        ("{url}", "", Reason.KEY_REJECTED, "api_key"),
    ],
)
async def test_a_server_that_was_named_wrongly_is_told_with_the_argument_to_correct(
    start: Start, url: str, api_key: str, reason: Reason, named: str
) -> None:
    bench = await start()
    there = url.format(url=bench.simulator.url)

    async with AsyncInstanceManager(url=there, api_key=api_key, surroundings=surroundings(bench)) as manager:
        found = await bench.advancing(manager.check_instance_health("one"))
        with pytest.raises(ServerUnknown) as raised:
            await bench.advancing(manager.cleanup_corrupted_instance("one"))

    assert (found.state, found.reason) == ("unknown", reason)
    assert named in found.detail
    assert named in str(raised.value)
    assert "the-key" not in str(raised.value) + found.detail


def test_a_refusal_says_each_reason_and_what_it_means() -> None:
    reasons = (Reason.NEEDS_SERVER_RESTART, Reason.UNSUPPORTED_VERSION, Reason.GHOST)

    told = str(CleanupRefused("one", state="stuck", reasons=reasons))

    assert "NeedsServerRestart (only a restart of the Evolution API server heals it)" in told
    assert "UnsupportedVersion (steps are taken on the versions 2.3.3 to 2.3.7 only)" in told
    assert told.endswith(", Ghost")
