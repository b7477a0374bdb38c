"""Only versions whose behaviour is known are acted on."""

from __future__ import annotations

import pytest

from whatsapp_operator.evolution import versions

VERSIONS = [
    ("2.3.6", versions.Support.TESTED),
    ("2.3.7", versions.Support.TESTED),
    ("2.3.3", versions.Support.ACTED_ON),
    ("2.3.4", versions.Support.ACTED_ON),
    ("2.3.5", versions.Support.ACTED_ON),
    ("2.3.2", versions.Support.OBSERVED_ONLY),
    ("2.3.8", versions.Support.OBSERVED_ONLY),
    ("2.3.10", versions.Support.OBSERVED_ONLY),
    ("2.3.7-rc1", versions.Support.OBSERVED_ONLY),
    ("2.3.70", versions.Support.OBSERVED_ONLY),
    ("12.3.7", versions.Support.LICENSED),
    ("1.8.2", versions.Support.OBSERVED_ONLY),
    ("v2.3.7", versions.Support.OBSERVED_ONLY),
    ("2.3", versions.Support.OBSERVED_ONLY),
    ("2.3.7\n", versions.Support.OBSERVED_ONLY),
    ("", versions.Support.OBSERVED_ONLY),
    ("9" * 100, versions.Support.OBSERVED_ONLY),
    ("2.4.0", versions.Support.LICENSED),
    ("2.4.0-rc2", versions.Support.LICENSED),
    ("3.0.0", versions.Support.LICENSED),
]


@pytest.mark.parametrize(("version", "support"), VERSIONS)
def test_version_is_supported_as_far_as_it_is_known(version: str, support: versions.Support) -> None:
    assert versions.support(version) is support


@pytest.mark.parametrize(
    ("version", "hears"), [("2.3.6", False), ("2.3.7", True), ("2.4.0-rc2", True), ("latest", False), (None, False)]
)
def test_only_a_version_that_is_known_to_is_taken_to_hear_after_a_relogin(version: str | None, hears: bool) -> None:
    assert versions.hears_after_relogin(version) is hears
