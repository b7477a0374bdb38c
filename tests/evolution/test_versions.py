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
