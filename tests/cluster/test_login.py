"""One source of login, kept fresh, and told without its secrets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from kubernetes.aio.client import Configuration

from whatsapp_operator.cluster import login


@dataclass
class Time:
    seconds: float = 1000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


def write(path: Path, *, bearer: str) -> Path:
    named = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:6443"}}],
        "users": [{"name": "u", "user": {"token": bearer}}],
    }
    path.write_text(yaml.safe_dump(named))
    return path


def break_off(path: Path) -> None:
    path.write_text("{ broken")


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "kubeconfig", bearer="first")


async def opened(source: login.Source, time: Time) -> login.Login:
    access = login.Login(source, clock=time)
    await access.open()
    return access


async def sent(access: login.Login) -> str | None:
    return await access.configuration.get_api_key_with_prefix("BearerToken")


async def test_token_is_read_again_each_minute(file: Path, time: Time) -> None:
    access = await opened(login.find(file), time)
    write(file, bearer="second")
    time.seconds += 59
    assert await sent(access) == "Bearer first"
    time.seconds += 1
    assert await sent(access) == "Bearer second"


async def test_renewed_login_has_the_new_token_at_once(file: Path, time: Time) -> None:
    access = await opened(login.find(file), time)
    write(file, bearer="second")
    await access.renew()
    assert await sent(access) == "Bearer second"


async def test_unreadable_file_keeps_the_last_token(file: Path, time: Time) -> None:
    access = await opened(login.find(file), time)
    break_off(file)
    time.seconds += 60
    assert await sent(access) == "Bearer first"


async def test_kopf_logs_in_with_the_same_login(file: Path, time: Time) -> None:
    access = await opened(login.find(file), time)
    connection = await access.connection()
    assert connection.server == access.configuration.host == "http://127.0.0.1:6443"
    assert connection.as_http_headers() == {"Authorization": "Bearer first"}


async def test_kopf_gets_the_rotated_token(file: Path, time: Time) -> None:
    access = await opened(login.find(file), time)
    write(file, bearer="second")
    assert (await access.connection()).as_http_headers() == {"Authorization": "Bearer second"}


@pytest.mark.parametrize("text", ["{ token: canary", "[]", "current-context: missing"])
async def test_unusable_file_is_named_and_not_quoted(tmp_path: Path, time: Time, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(login.LoginError) as raised:
        await opened(login.find(path), time)
    assert str(path) in str(raised.value)
    assert "canary" not in str(raised.value)


async def test_missing_file_is_named(tmp_path: Path, time: Time) -> None:
    with pytest.raises(login.LoginError, match="absent"):
        await opened(login.find(tmp_path / "absent"), time)


def test_flag_goes_before_variable_and_variable_before_default(tmp_path: Path) -> None:
    default = tmp_path / ".kube" / "config"
    default.parent.mkdir()
    default.touch()
    given = {"KUBECONFIG": "/variable", "HOME": str(tmp_path)}
    assert login.find(Path("/flag"), environment=given).name == "/flag"
    assert login.find(None, environment=given).name == "/variable"
    assert login.find(None, environment={"HOME": str(tmp_path)}).name == str(default)


def test_nowhere_to_log_in_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(login.LoginError, match="--kubeconfig"):
        login.find(None, environment={"HOME": str(tmp_path)})


async def test_addresses_of_the_api_server_are_known(time: Time) -> None:
    async def load(configuration: Configuration) -> None:
        configuration.host = "https://127.0.0.1:6443"

    access = await opened(login.Source("here", load), time)
    assert "127.0.0.1" in {str(address) for address in await access.api_server_addresses()}
