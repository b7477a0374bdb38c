"""What the image installs: run as its user, from a read-only tree, against the real API server."""

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e import image, kube, stage
from evolution_simulator.control_client import Simulator
from native import places

pytestmark = pytest.mark.timeout(900)  # the packages are fetched and installed first


@pytest.fixture
def built() -> Iterator[image.Image]:
    """The tree is in a folder that every user reaches, which the folders of pytest are not."""
    with public_folder() as folder:
        yield image.build(folder)


@contextlib.contextmanager
def public_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="whatsapp-operator-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
        shutil.rmtree(folder)


@pytest.fixture
def house(
    namespace: str,
    kubectl: kube.Kubectl,
    simulator: Simulator,
    kubeconfig_for: Callable[[str], Path],
    tmp_path: Path,
) -> Iterator[stage.Stage]:
    """A stage on which no operator was started yet; its login is one that the image's user can read."""
    stage.install_roles(kubectl, namespace)
    with public_folder() as folder:
        login = Path(shutil.copy(kubeconfig_for("whatsapp-operator"), folder / "kubeconfig"))
        login.chmod(0o644)
        operator = stage.Operator(login, tmp_path / "operator.log", flags=stage.quick(f"--namespace={namespace}"))
        yield stage.Stage(namespace=namespace, kubectl=kubectl, simulator=simulator, operator=operator)
        operator.stop()
        stage.show_log(operator)


def test_what_the_image_installs_works_as_its_user_from_a_read_only_tree(
    built: image.Image, house: stage.Stage
) -> None:
    """One test, since the image takes longest to install."""
    tells_its_usage(built)
    holds_what_the_lock_names_and_no_builder(built)
    if image.can_change_user():
        cannot_be_written_to(built)
    keeps_an_instance_alive(built, house)


def tells_its_usage(built: image.Image) -> None:
    told = built.run(*image.listed("ENTRYPOINT"), "--help")

    assert (told.returncode, told.stderr) == (0, "")
    assert "usage: whatsapp-operator" in told.stdout


def holds_what_the_lock_names_and_no_builder(built: image.Image) -> None:
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (places.TREE / "locks" / "run.txt").read_text(), re.MULTILINE))
    installed = dict(one.lower().replace("_", "-").split("==") for one in image.packages(built))
    ours = installed.pop("whatsapp-operator")

    assert f'version = "{ours}"' in (places.TREE / "pyproject.toml").read_text()
    assert installed.items() <= {name.lower(): version for name, version in locked.items()}.items()
    assert {"kopf", "kubernetes", "pydantic"} <= installed.keys()


def cannot_be_written_to(built: image.Image) -> None:
    assert built.run("id", "-u").stdout.strip() == image.user().partition(":")[0]
    assert list(image.writable(built)) == []
    assert built.run("touch", str(built.prefix / "bin" / "new")).returncode != 0


def keeps_an_instance_alive(built: image.Image, house: stage.Stage) -> None:
    house.operator.program = built.command(*image.listed("ENTRYPOINT"))
    house.operator.start()
    house.server()
    house.paired_instance("user-1")
    assert house.operator.ready()[0] == 200
    house.operator.stop()
    assert house.operator.process is not None
    assert house.operator.process.returncode == 0


def test_image_runs_the_operator_as_a_number_that_is_not_root() -> None:
    assert image.listed("ENTRYPOINT") + image.listed("CMD") == ["whatsapp-operator", "run"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", image.user())


def test_base_is_pinned_by_digest_and_every_stage_is_of_it() -> None:
    first, *others = [stage[0].rest for stage in image.stages()]

    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64} AS base", first)
    assert [one.split()[0] for one in others] == ["base"] * len(others)


def test_context_holds_what_is_copied_and_nothing_that_is_not() -> None:
    rules = (places.TREE / ".dockerignore").read_text().split()
    let_through = [rule[1:] for rule in rules if rule.startswith("!")]

    assert rules[0] == "*"
    assert sorted(let_through) == sorted(image.sources())
    assert [path for path in let_through if not (places.TREE / path).exists()] == []
