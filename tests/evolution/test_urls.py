"""The operator calls no address that a tenant must not reach through it, however the URL is written."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from evolution import servers
from whatsapp_operator.evolution import evidence, urls

NONE_ALLOWED = urls.Rules(api_server=frozenset({ipaddress.IPv4Address("10.96.0.1")}))
REFUSED = evidence.Unknown(evidence.Ignorance.REFUSED_BY_POLICY)

FLAWS = [
    ("http://evolution-api.messaging.svc:8080", None),
    ("https://evolution.example.com/base/path", None),
    ("HTTPS://Evolution.example.com", None),
    ("http://10.0.0.7:8080", None),
    ("http://192.168.1.7", None),
    ("http://[fd00::7]:8080", None),
    ("", urls.Flaw.SCHEME),
    ("evolution:8080", urls.Flaw.SCHEME),
    ("ftp://evolution", urls.Flaw.SCHEME),
    ("file:///etc/passwd", urls.Flaw.SCHEME),
    ("http://", urls.Flaw.INVALID),
    ("http:///path", urls.Flaw.INVALID),
    ("http://evolution:port", urls.Flaw.INVALID),
    ("http://evolution:99999", urls.Flaw.INVALID),
    ("http://evolution:0", urls.Flaw.INVALID),
    ("http://evo lution", urls.Flaw.INVALID),
    ("http://evolution\\@10.0.0.1", urls.Flaw.USER_INFO),
    ("http://evolution\\path", urls.Flaw.INVALID),
    ("http://evolution/\nx", urls.Flaw.INVALID),
    ("http://user:pass@evolution", urls.Flaw.USER_INFO),
    ("http://user@evolution", urls.Flaw.USER_INFO),
    ("http://@evolution", urls.Flaw.USER_INFO),
    ("http://evolution?instanceName=x", urls.Flaw.QUERY),
    ("http://evolution/?", urls.Flaw.QUERY),
    ("http://evolution/#x", urls.Flaw.FRAGMENT),
    ("http://evolution/#", urls.Flaw.FRAGMENT),
    ("http://127.0.0.1:8080", urls.Flaw.ADDRESS),
    ("http://127.9.9.9", urls.Flaw.ADDRESS),
    ("http://0.0.0.0:8080", urls.Flaw.ADDRESS),
    ("http://169.254.169.254", urls.Flaw.ADDRESS),
    ("http://100.100.100.200", urls.Flaw.ADDRESS),
    ("http://224.0.0.1", urls.Flaw.ADDRESS),
    ("https://10.96.0.1", urls.Flaw.ADDRESS),
    ("http://[::1]:8080", urls.Flaw.ADDRESS),
    ("http://[::]", urls.Flaw.ADDRESS),
    ("http://[fe80::1]", urls.Flaw.ADDRESS),
    ("http://[ff02::1]", urls.Flaw.ADDRESS),
    ("http://[fd00:ec2::254]", urls.Flaw.ADDRESS),
    ("http://[::ffff:127.0.0.1]", urls.Flaw.ADDRESS),
    ("http://[::ffff:a9fe:a9fe]", urls.Flaw.ADDRESS),
    ("http://[64:ff9b::169.254.169.254]", urls.Flaw.ADDRESS),
    ("https://[::ffff:10.96.0.1]", urls.Flaw.ADDRESS),
]


@pytest.mark.parametrize(("url", "flaw"), FLAWS)
def test_url_has_the_flaw_that_a_person_is_told(url: str, flaw: urls.Flaw | None) -> None:
    assert NONE_ALLOWED.flaw(url) is flaw


def test_flag_allows_its_network_and_no_other() -> None:
    rules = urls.Rules(allowed=(ipaddress.IPv4Network("127.0.0.1/32"),))

    assert rules.flaw("http://127.0.0.1:8080") is None
    assert rules.flaw("http://[::ffff:127.0.0.1]:8080") is None
    assert rules.flaw("http://127.0.0.2:8080") is urls.Flaw.ADDRESS
    assert rules.flaw("http://[::1]:8080") is urls.Flaw.ADDRESS


@pytest.mark.parametrize("address", ["fe80::1%eth0", "not an address", ""])
def test_address_with_a_zone_or_none_at_all_is_refused(address: str) -> None:
    assert NONE_ALLOWED.refuses(address)


WRITTEN = ["127.0.0.1", "localhost", "LocalHost", "2130706433", "127.1", "0x7f000001", "0177.0.0.1", "[::ffff:7f00:1]"]


@pytest.mark.parametrize("host", WRITTEN)
async def test_loopback_is_not_called_however_it_is_written(server: servers.Server, host: str) -> None:
    url = server.url.replace("127.0.0.1", host)
    async with servers.calling(url, rules=NONE_ALLOWED) as api:
        assert await api.verify_key() == REFUSED
        assert await api.restart("shop") == REFUSED

    assert server.seen == []


FLAWED = [
    "http://user:pass@{place}",
    "http://{place}?instanceName=x",
    "http://{place}#x",
    "ftp://{place}",
    "{place}",
    "",
]


@pytest.mark.parametrize("written", FLAWED)
async def test_url_with_a_flaw_is_never_called(server: servers.Server, written: str) -> None:
    url = written.format(place=server.url.removeprefix("http://"))
    async with servers.calling(url) as api:
        assert await api.verify_key() == REFUSED
        assert await api.list_memory() == REFUSED
        assert await api.delete("shop") == REFUSED

    assert server.seen == []


async def test_localhost_is_called_where_the_flag_allows_loopback(server: servers.Server) -> None:
    server.answers(200, {"status": 200})
    async with servers.calling(server.url.replace("127.0.0.1", "localhost")) as api:
        assert await api.verify_key() == evidence.KeyAccepted()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let the resolver answer these for any name, as a tenant's own name server can."""

    def getaddrinfo(_host: object, port: int, *_args: object, **_kwargs: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


async def test_name_that_turns_to_loopback_after_it_was_checked_is_not_called(
    server: servers.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.url.replace("127.0.0.1", "evolution.example.com")
    assert NONE_ALLOWED.flaw(url) is None

    async with servers.calling(url, rules=NONE_ALLOWED) as api:
        resolve_to(monkeypatch, "127.0.0.1", "127.0.0.2")
        assert await api.verify_key() == REFUSED
        assert await api.logout("shop") == REFUSED

    assert server.seen == []


async def test_of_several_addresses_only_an_allowed_one_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = urls.Rules(allowed=(ipaddress.IPv4Network("127.0.0.2/32"),))
    async with servers.running(host="127.0.0.2") as allowed:
        allowed.answers(200, {"status": 200})
        async with servers.calling(allowed.url.replace("127.0.0.2", "evolution.example.com"), rules=rules) as api:
            resolve_to(monkeypatch, "127.0.0.1", "127.0.0.2")

            assert await api.verify_key() == evidence.KeyAccepted()
