"""Setting a checkout up: what is told without the network."""

import shutil
from pathlib import Path

import pytest

import bootstrap


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the locks are made of, which a test may change."""
    shutil.copy(bootstrap.TREE / "pyproject.toml", tmp_path)
    shutil.copytree(bootstrap.LOCKS, tmp_path / "locks")
    monkeypatch.setattr(bootstrap, "TREE", tmp_path)
    monkeypatch.setattr(bootstrap, "LOCKS", tmp_path / "locks")
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.usefixtures("checkout")
def test_locks_belong_to_pyproject() -> None:
    bootstrap.check_locks()


def test_new_dependency_makes_its_locks_stale(checkout: Path) -> None:
    change(checkout / "pyproject.toml", '"kopf>=', '"another-package",\n  "kopf>=')

    with pytest.raises(bootstrap.SetupError, match=r"locks/dev\.txt .* run `make lock`"):
        bootstrap.check_locks()


def test_changed_group_makes_only_its_own_lock_stale(checkout: Path) -> None:
    change(checkout / "pyproject.toml", '"pytest-kind>=', '"another-package",\n  "pytest-kind>=')

    with pytest.raises(bootstrap.SetupError, match=r"locks/kind\.txt"):
        bootstrap.check_locks()


def test_change_of_a_tool_setting_leaves_the_locks_alone(checkout: Path) -> None:
    change(checkout / "pyproject.toml", "line-length = 120", "line-length = 100")

    bootstrap.check_locks()


def test_missing_lock_is_told(checkout: Path) -> None:
    (checkout / "locks" / "kind.txt").unlink()

    with pytest.raises(bootstrap.SetupError, match=r"locks/kind\.txt"):
        bootstrap.check_locks()


@pytest.mark.parametrize("lock", sorted(bootstrap.LOCKED))
def test_lock_names_no_registry_and_hashes_every_package(lock: str) -> None:
    text = (bootstrap.LOCKS / f"{lock}.txt").read_text()

    assert "://" not in text
    requirements = text.replace("\\\n", "").splitlines()[1:]
    assert requirements
    assert [line for line in requirements if "==" not in line or "--hash=sha256:" not in line] == []


def test_end_to_end_environment_stays_apart_from_the_operators() -> None:
    """pykube-ng, which pytest-kind brings, would be found by kopf and used to log in."""
    assert "pykube" not in (bootstrap.LOCKS / "dev.txt").read_text()
    assert "kopf" not in (bootstrap.LOCKS / "kind.txt").read_text()
