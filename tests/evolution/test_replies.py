"""What replies prove that no record shows, and what no reply of any shape may ever prove."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract import shape
from evolution import servers
from whatsapp_operator import arrays
from whatsapp_operator.evolution import client, errors, evidence, replies, transport

patiently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A property is no measurement: on a busy machine an example may take its time."""

REQUEST = errors.Request(method="GET", route="/instance/connectionState/{name}")
ROW: dict[str, Any] = shape.records("2.3.7")[65]["body"][0]
RECORDED_ROWS: list[dict[str, Any]] = [
    row
    for record in shape.records("2.3.7")
    if "fetchInstances" in record["path"] and record["status"] == 200
    for row in record["body"]
]


def reply(status: int, body: object) -> transport.Reply:
    """A reply with a JSON body."""
    return transport.Reply(REQUEST, status, json.dumps(body).encode())


def error(status: int, *texts: object) -> transport.Reply:
    """A reply with an error in the server's form."""
    return reply(status, {"status": status, "error": "Some Error", "response": {"message": list(texts)}})


def test_row_is_read_whole() -> None:
    counted = {**ROW, "_count": {"Message": 3, "Contact": 2, "Chat": 1}}

    (row,) = replies.database_list(reply(200, [counted])).rows.values()

    assert row == evidence.Row(
        id="4751a154-0aa9-445c-9f25-2a90b80728e6",
        name="closed",
        state=evidence.ConnectionState.CLOSE,
        integration="WHATSAPP-BAILEYS",
        client_name="evolution_exchange",
        owner_jid="5511999990001@s.whatsapp.net",
        token="token-closed",  # noqa: S106 - recorded from a server that is gone
        code=401,
        disconnection_at=datetime(2026, 11, 23, 16, 26, 8, 722_000, tzinfo=UTC),
        created_at=datetime.fromisoformat(ROW["createdAt"]),
        updated_at=datetime.fromisoformat(ROW["updatedAt"]),
        settings={name: ROW["Setting"][name] for name in replies.SETTINGS},
        data_count=6,
    )


def test_row_without_what_is_optional_is_read() -> None:
    bare = {"id": "1", "name": "shop", "connectionStatus": "open", "_count": {"Message": 0, "Contact": 0, "Chat": 0}}

    assert replies.database_list(reply(200, [bare])).rows["shop"] == evidence.Row(
        id="1", name="shop", state=evidence.ConnectionState.OPEN, integration="", client_name=""
    )


def test_row_with_an_empty_name_leaves_the_others_to_be_read() -> None:
    rows = replies.database_list(reply(200, [{**ROW, "id": "2", "name": ""}, ROW])).rows

    assert set(rows) == {"", ROW["name"]}


STORED_PROXY: dict[str, Any] = {
    "id": "cm1",
    "enabled": True,
    "host": "proxy.example.com",
    "port": "3128",
    "protocol": "http",
    "username": "shop",
    "password": "canary",
    "createdAt": "2026-11-23T16:26:08.722Z",
    "updatedAt": "2026-11-23T16:26:08.722Z",
    "instanceId": "1",
}
PROXY = evidence.Proxy(**{part: STORED_PROXY[part] for part in ("host", "port", "protocol", "username", "password")})


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        (None, None),
        (STORED_PROXY, PROXY),
        ({**STORED_PROXY, "enabled": False}, None),
        ({**STORED_PROXY, "enabled": None}, None),
        ({**STORED_PROXY, "host": ""}, None),
        ({**STORED_PROXY, "port": None}, None),
    ],
)
def test_row_tells_the_proxy_that_is_switched_on(stored: object, read: evidence.Proxy | None) -> None:
    rows = replies.database_list(reply(200, [{**ROW, "Proxy": stored}])).rows

    assert rows[ROW["name"]].proxy == read


def test_proxies_that_differ_in_the_password_alone_lead_the_same_way() -> None:
    assert PROXY.way == dataclasses.replace(PROXY, password=STORED_PROXY["id"]).way
    for part in ("host", "port", "protocol", "username"):
        assert PROXY.way != dataclasses.replace(PROXY, **{part: "another"}).way


def test_repr_of_a_proxy_shows_nothing_of_it() -> None:
    assert repr(PROXY) == "Proxy()"


@pytest.mark.parametrize(
    ("jid", "number"),
    [
        ("5511999990001@s.whatsapp.net", "5511999990001"),
        ("5511999990001:12@s.whatsapp.net", "5511999990001"),
        ("5511999990001@lid", None),
        ("5511999990001", None),
        ("@s.whatsapp.net", None),
        ("owner@s.whatsapp.net", None),
        (None, None),
    ],
)
def test_own_number_is_that_of_a_phone(jid: str | None, number: str | None) -> None:
    rows = replies.database_list(reply(200, [{**ROW, "ownerJid": jid}])).rows

    assert rows[ROW["name"]].own_number == number


DAMAGE: list[tuple[str, object]] = [
    ("Proxy", "proxy.example.com"),
    ("Proxy", {**STORED_PROXY, "enabled": "yes"}),
    ("Proxy", {**STORED_PROXY, "port": 3128}),
    ("id", None),
    ("id", 7),
    ("name", None),
    ("connectionStatus", "refused"),
    ("connectionStatus", None),
    ("ownerJid", 5511999990001),
    ("token", {}),
    ("disconnectionReasonCode", "401"),
    ("disconnectionReasonCode", True),
    ("disconnectionReasonCode", 401.0),
    ("disconnectionAt", "yesterday"),
    ("disconnectionAt", "2026-11-23T16:26:08.722"),
    ("disconnectionAt", "9999-12-31T23:59:59-14:00"),
    ("Setting", []),
    ("Setting", {"rejectCall": "false"}),
    ("_count", None),
    ("_count", {"Message": 0, "Contact": 0}),
    ("_count", {"Message": "0", "Contact": 0, "Chat": 0}),
]


@pytest.mark.parametrize(("key", "value"), DAMAGE)
def test_one_row_that_cannot_be_read_makes_the_whole_list_prove_nothing(key: str, value: object) -> None:
    healthy = {**ROW, "id": "2", "name": "other"}

    with pytest.raises(errors.UnexpectedShape):
        replies.database_list(reply(200, [healthy, {**ROW, key: value}]))


def test_two_rows_of_one_name_make_the_list_prove_nothing() -> None:
    with pytest.raises(errors.UnexpectedShape):
        replies.database_list(reply(200, [ROW, {**ROW, "id": "2"}]))


@pytest.mark.parametrize("body", [{}, None, "[]", {"rows": []}])
def test_something_else_than_a_list_is_not_an_empty_server(body: object) -> None:
    with pytest.raises(errors.UnexpectedShape):
        replies.database_list(reply(200, body))


@pytest.mark.parametrize("content", [b"[", b"[1", b"[{}", b"[]]", b"[] []", b"[{},]", b"[,]", b"", b"\xff[]"])
def test_list_that_is_cut_off_or_followed_proves_nothing(content: bytes) -> None:
    with pytest.raises((errors.NotJSON, errors.UnexpectedShape)):
        replies.database_list(transport.Reply(REQUEST, 200, content))


DEAD = ["Error updating profile name", "Error: Connection Closed"]
PROBES = [
    (500, {"response": {"message": DEAD}}, evidence.ProbeResult.DEAD),
    (500, {"response": {"message": "Connection Closed"}}, evidence.ProbeResult.DEAD),
    (200, {"isBusiness": True, "wid": "x"}, evidence.ProbeResult.ALIVE),
]


@pytest.mark.parametrize(("status", "body", "result"), PROBES)
def test_probe_proves(status: int, body: object, result: evidence.ProbeResult) -> None:
    assert replies.probed(reply(status, body)) is result


NO_PROBES = [
    (500, {"response": {"message": ["Error updating profile name", "Error: Timed Out"]}}),
    (500, {"response": {"message": ["Error: Connection Closed by the proxy"]}}),
    (500, {"message": "Connection Closed"}),
    (502, {"response": {"message": DEAD}}),
    (400, {"response": {"message": DEAD}}),
    (404, {"response": {"message": ['The "shop" instance does not exist']}}),
    (200, {"response": {"message": DEAD}}),
    (200, {}),
]


@pytest.mark.parametrize(("status", "body"), NO_PROBES)
def test_probe_that_failed_otherwise_proves_neither_life_nor_death(status: int, body: object) -> None:
    with pytest.raises(errors.Misanswered):
        replies.probed(reply(status, body))


def test_half_done_delete_and_logout_are_refused_as_invalid_or_prove_nothing() -> None:
    assert replies.deleted(error(400, "[object Object]"), name="shop") == evidence.Refused(evidence.Refusal.INVALID)
    with pytest.raises(errors.ServerFailed) as failure:
        replies.logged_out(error(500, "PrismaClientKnownRequestError"), name="shop")
    assert failure.value.status == 500


def test_schema_error_nested_in_an_array_is_refused_as_invalid() -> None:
    answer = error(400, ['requires property "groupsIgnore"'])

    assert replies.settings_set(answer, name="shop") == evidence.Refused(evidence.Refusal.INVALID)


def test_logout_of_another_instance_than_the_named_is_no_not_connected() -> None:
    answer = error(400, 'The "other" instance is not connected')

    assert replies.logged_out(answer, name="shop") == evidence.Refused(evidence.Refusal.INVALID)


def test_403_that_does_not_name_the_instance_is_about_the_key() -> None:
    with pytest.raises(errors.KeyRejected):
        replies.created(error(403, 'This name "other" is already in use.'), name="shop")


@pytest.mark.parametrize("body", [{"count": 0}, {}, {"pairingCode": None, "count": 2}, {"code": "", "count": 0}])
def test_connect_without_a_code_gives_no_code(body: object) -> None:
    assert replies.connected(reply(200, body), name="shop") == evidence.NoCode()


def test_server_that_was_told_no_client_name_has_an_empty_one() -> None:
    assert replies.identity(reply(200, {"version": "2.3.7"})) == evidence.ServerIdentity("2.3.7", "")


def test_webhook_that_someone_else_stored_is_read_as_the_server_uses_it() -> None:
    stored = {"url": "u", "enabled": None, "events": None, "headers": {"n": 5, "b": True}, "webhookByEvents": None}

    assert replies.webhook(reply(200, stored)) == evidence.Webhook(
        url="u", enabled=False, headers={"n": "5", "b": "true"}
    )


def test_webhook_that_was_stored_without_a_url_calls_nobody() -> None:
    assert replies.webhook(reply(200, {"url": "", "enabled": False})) == evidence.Webhook(url="", enabled=False)


READERS: dict[str, Callable[[transport.Reply], object]] = {
    "memory_list": replies.memory_list,
    "database_list": replies.database_list,
    "memory": lambda answer: replies.memory(answer, name="shop"),
    "identity": replies.identity,
    "key": replies.key,
    "created": lambda answer: replies.created(answer, name="shop"),
    "connected": lambda answer: replies.connected(answer, name="shop"),
    "restarted": lambda answer: replies.restarted(answer, name="shop"),
    "logged_out": lambda answer: replies.logged_out(answer, name="shop"),
    "deleted": lambda answer: replies.deleted(answer, name="shop"),
    "settings": replies.settings,
    "settings_set": lambda answer: replies.settings_set(answer, name="shop"),
    "webhook": replies.webhook,
    "webhook_set": lambda answer: replies.webhook_set(answer, name="shop"),
    "probed": replies.probed,
}
KEYS = st.sampled_from(
    ["instance", "instanceName", "state", "error", "response", "message", "status", "code", "count", "name", "settings"]
)
VALUES = st.sampled_from(["shop", "open", "SUCCESS", 'The "shop" instance does not exist', "Cannot GET /", 200, True])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | VALUES
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(), inner, max_size=5),
    max_leaves=10,
)
STATUSES = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 409, 429, 500, 502, 503])
PROVES_NOTHING_OF_EXISTENCE = STATUSES.filter(lambda status: status != 404)
ABSENT = (evidence.Absent(), evidence.Refused(evidence.Refusal.DOES_NOT_EXIST))


def read(reader: Callable[[transport.Reply], object], answer: transport.Reply) -> object:
    """The evidence, or the error that the client turns into `Unknown`; anything else raised fails the test."""
    try:
        return reader(answer)
    except errors.EvolutionError as failure:
        return failure


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@patiently
@given(status=PROVES_NOTHING_OF_EXISTENCE, body=JSON)
def test_no_json_but_a_404_ever_proves_absence(
    reader: Callable[[transport.Reply], object], status: int, body: object
) -> None:
    assert read(reader, reply(status, body)) not in ABSENT


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@patiently
@given(body=JSON)
def test_no_404_that_does_not_name_the_instance_proves_absence(
    reader: Callable[[transport.Reply], object], body: object
) -> None:
    content = json.dumps(body).replace("shop", "other").encode()

    assert read(reader, transport.Reply(REQUEST, 404, content)) not in ABSENT


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@patiently
@given(status=STATUSES, content=st.binary())
def test_no_bytes_raise_anything_but_an_evolution_error(
    reader: Callable[[transport.Reply], object], status: int, content: bytes
) -> None:
    read(reader, transport.Reply(REQUEST, status, content))


@patiently
@given(rows=st.lists(st.sampled_from(RECORDED_ROWS), min_size=1, unique_by=lambda row: row["name"]), data=st.data())
def test_damage_to_a_field_never_turns_a_row_into_absence(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(rows) - 1))
    field = data.draw(st.sampled_from(sorted(set(ROW) - {"name"})))
    damaged = [*rows[:index], {**rows[index], field: data.draw(JSON)}, *rows[index + 1 :]]

    proved = read(replies.database_list, reply(200, damaged))

    if isinstance(proved, evidence.DatabaseList):
        assert proved.rows.keys() == {row["name"] for row in rows}
    else:
        assert isinstance(proved, errors.UnexpectedShape)


def read_array(text: str) -> list[object]:
    return list(arrays.Recurring[object]().items(text, read=lambda item: item))


@patiently
@given(items=st.lists(JSON), indent=st.sampled_from([None, 0, 2]))
def test_array_read_item_by_item_is_the_array(items: list[object], indent: int | None) -> None:
    text = json.dumps(items, indent=indent)

    assert json.dumps(read_array(text)) == json.dumps(items)


@patiently
@given(items=st.lists(JSON, min_size=1), data=st.data())
def test_array_that_is_cut_off_is_no_array(items: list[object], data: st.DataObject) -> None:
    text = json.dumps(items)
    cut = text[: data.draw(st.integers(0, len(text) - 1))]

    with pytest.raises(ValueError, match=r"due|Expecting|Unterminated|Invalid"):
        read_array(cut)


OBJECTS = st.lists(st.fixed_dictionaries({"name": st.sampled_from("abcdef"), "count": st.integers(0, 3)}), max_size=6)


@patiently
@given(arrays_seen=st.lists(OBJECTS, min_size=2, max_size=4), indent=st.sampled_from([None, 2]))
def test_array_that_comes_again_is_what_it_is_now_whatever_it_was(arrays_seen: list[Any], indent: int | None) -> None:
    recurring: arrays.Recurring[object] = arrays.Recurring()

    for each in arrays_seen:
        assert list(recurring.items(json.dumps(each, indent=indent), read=lambda item: item)) == each


def test_items_that_are_as_before_are_the_same_objects_wherever_they_stand_and_only_others_are_read() -> None:
    recurring: arrays.Recurring[dict[str, int]] = arrays.Recurring()
    read: list[object] = []

    def see(item: object) -> Any:
        read.append(item)
        return item

    before = list(recurring.items('[{"a": 1}, {"b": 1}, {"c": 1}, {"d": 1}]', read=see))
    read.clear()
    after = list(recurring.items('[{"a": 1}, {"c": 1}, {"new": 1}, {"d": 1}, {"b": 2}]', read=see))

    assert after == [{"a": 1}, {"c": 1}, {"new": 1}, {"d": 1}, {"b": 2}]
    assert after[0] is before[0]
    assert after[1] is before[2]
    assert after[3] is before[3]
    assert read == [{"new": 1}, {"b": 2}]


def test_array_that_cannot_be_read_leaves_known_what_was_read_before() -> None:
    recurring: arrays.Recurring[object] = arrays.Recurring()
    (before,) = recurring.items('[{"a": 1}]', read=lambda item: item)
    with pytest.raises(ValueError, match="due"):
        list(recurring.items('[{"b": 1}', read=lambda item: item))

    (after,) = recurring.items('[{"a": 1}]', read=lambda item: item)

    assert after is before


def test_settings_that_thousands_have_in_common_are_there_once() -> None:
    one, other = replies.database_list(reply(200, [ROW, {**ROW, "id": "2", "name": "other"}])).rows.values()

    assert one.settings is not None
    assert one.settings is other.settings


async def test_list_of_thousands_is_read_whole(server: servers.Server, api: client.Client) -> None:
    server.answers(200, [{**ROW, "id": f"{index}", "name": f"shop-{index}"} for index in range(3_000)])

    proved = await api.list_database()

    assert len(server.content) > 1_000_000
    assert isinstance(proved, evidence.DatabaseList)
    assert list(proved.rows) == [f"shop-{index}" for index in range(3_000)]


async def test_long_list_with_one_row_that_cannot_be_read_proves_nothing(
    server: servers.Server, api: client.Client
) -> None:
    rows = [{**ROW, "id": f"{index}", "name": f"shop-{index}"} for index in range(3_000)]
    server.answers(200, [*rows, {**ROW, "connectionStatus": "refused"}])

    assert await api.list_database() == evidence.Unknown(evidence.Ignorance.UNEXPECTED_SHAPE)


def test_reply_that_is_the_same_again_is_not_read_again_and_proves_the_same_object() -> None:
    read: list[int] = []

    def count(reply: replies.Reply) -> list[int]:
        read.append(reply.status)
        return [reply.status]

    unchanged = replies.Unchanged(count)
    request = errors.Request("GET", "/metrics")
    first = unchanged(replies.Reply(request, 200, b"one"))

    assert unchanged(replies.Reply(request, 200, b"one")) is first
    assert read == [200]
    assert unchanged(replies.Reply(request, 200, b"two")) is not first
    assert unchanged(replies.Reply(request, 201, b"two")) == [201]


def test_reply_is_known_only_while_it_is_as_the_one_before() -> None:
    unchanged = replies.Unchanged(lambda reply: [reply.status])
    request = errors.Request("GET", "/metrics")
    one = replies.Reply(request, 200, b"one")

    assert unchanged.known(one) is None
    proved = unchanged(one)
    assert unchanged.known(one) is proved
    assert unchanged.known(replies.Reply(request, 200, b"two")) is None
    assert unchanged.known(replies.Reply(request, 201, b"one")) is None


@pytest.mark.parametrize(("rows", "threads"), [(1, 0), (600, 1), (9_000, 2)])
async def test_list_that_comes_again_is_known_without_a_thread_unless_it_is_very_long(
    server: servers.Server, api: client.Client, monkeypatch: pytest.MonkeyPatch, rows: int, threads: int
) -> None:
    asked: list[object] = []
    in_a_thread = asyncio.to_thread

    async def ask(read: Callable[..., object], *arguments: object) -> object:
        asked.append(read)
        return await in_a_thread(read, *arguments)

    monkeypatch.setattr(asyncio, "to_thread", ask)
    server.answers(200, [{**ROW, "id": f"{index}", "name": f"shop-{index}"} for index in range(rows)])
    first = await api.list_database()

    assert await api.list_database() is first
    assert len(asked) == threads


def test_reply_that_proves_nothing_proves_nothing_each_time() -> None:
    unchanged = replies.Unchanged(replies.database_list)
    reply = replies.Reply(errors.Request("GET", "/instance/fetchInstances"), 500, b"{}")

    for _ in range(2):
        with pytest.raises(errors.ServerFailed):
            unchanged(reply)


def test_list_that_is_read_while_one_that_was_given_up_still_is_takes_no_row_for_another() -> None:
    rows: arrays.Recurring[str] = arrays.Recurring()

    def text(*names: str) -> str:
        return json.dumps([{"name": name} for name in names])

    def read(value: object) -> str:
        assert isinstance(value, dict)
        return str(value["name"])

    assert [*rows.items(text("a", "b", "c"), read=read)] == ["a", "b", "c"]
    slow = rows.items(text("c", "a", "b"), read=read)
    first = next(slow)
    assert [*rows.items(text("b", "new", "a"), read=read)] == ["b", "new", "a"]

    assert [first, *slow] == ["c", "a", "b"]
