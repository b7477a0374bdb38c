"""What the image installs: run as its user, from a read-only tree, against the real API server."""

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


@pytest.fixture(scope="module")
def built() -> Iterator[image.Image]:
    """The tree is in a folder that every user reaches, which the folders of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="whatsapp-operator-image-"))
    folder.chmod(0o755)
    try:
        yield image.build(folder)
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
        shutil.rmtree(folder)


def test_program_starts_as_the_images_user(built: image.Image) -> None:
    told = built.run(*image.listed("ENTRYPOINT"), "--help")

    assert (told.returncode, told.stderr) == (0, "")
    assert "usage: whatsapp-operator" in told.stdout
    assert image.listed("CMD") == ["run"]


def test_images_user_is_a_number_that_is_not_root(built: image.Image) -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", image.user())
    if image.can_change_user():
        assert built.run("id", "-u").stdout.strip() == image.user().partition(":")[0]


def test_nothing_in_the_image_can_be_written_to(built: image.Image) -> None:
    if not image.can_change_user():
        pytest.skip("only root can change to the image's user, and root can write anywhere")

    assert list(image.writable(built)) == []
    assert built.run("touch", str(built.prefix / "bin" / "new")).returncode != 0


def test_installed_is_what_the_lock_names_and_no_builder(built: image.Image) -> None:
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (places.TREE / "locks" / "run.txt").read_text(), re.MULTILINE))
    installed = dict(one.lower().replace("_", "-").split("==") for one in image.packages(built))
    ours = installed.pop("whatsapp-operator")

    assert f'version = "{ours}"' in (places.TREE / "pyproject.toml").read_text()
    assert installed.items() <= {name.lower(): version for name, version in locked.items()}.items()
    assert {"kopf", "kubernetes", "pydantic"} <= installed.keys()


def test_operator_works_from_the_image(
    *,
    built: image.Image,
    namespace: str,
    kubectl: kube.Kubectl,
    simulator: Simulator,
    kubeconfig_for: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    stage.install_roles(kubectl, namespace)
    readable = Path(tempfile.mkdtemp(prefix="whatsapp-operator-login-"))
    readable.chmod(0o755)
    login = Path(shutil.copy(kubeconfig_for("whatsapp-operator"), readable / "kubeconfig"))
    login.chmod(0o644)
    operator = stage.Operator(
        kubeconfig=login,
        log_file=tmp_path / "operator.log",
        flags=stage.quick(f"--namespace={namespace}"),
        program=built.command(*image.listed("ENTRYPOINT")),
    )
    operator.start()
    try:
        house = stage.Stage(namespace=namespace, kubectl=kubectl, simulator=simulator, operator=operator)
        house.server()
        house.paired_instance("user-1")
        assert operator.ready()[0] == 200
    finally:
        operator.stop()
        stage.show_log(operator)
        shutil.rmtree(readable)
    assert operator.process is not None
    assert operator.process.returncode == 0


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
