"""The names by which users and scripts reach this operator's resources."""

from __future__ import annotations

import enum

GROUP = "whatsapp-operator.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "whatsapp"
FINALIZER = f"{GROUP}/instance"
SERVER_FINALIZER = f"{GROUP}/server"
APPROVE = f"{GROUP}/approve"
"""The annotation that approves one step; who may set it is a matter of the verb `approve`."""
PAUSE_CONFIG = "whatsapp-operator-pause"
"""The ConfigMap in the operator's own namespace that pauses everything."""
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
"""The annotation of a pod template that `kubectl rollout restart` sets."""


class Request(enum.StrEnum):
    """What a user can ask for once, by setting an annotation to a value that it did not have before.

    The names are those of the fields of `status.lastHandled`, which show what was carried out.
    """

    RECONCILE = "reconcile"
    RESTART = "restart"
    PAIRING = "pairing"
    RESET = "reset"

    @property
    def annotation(self) -> str:
        """The annotation's key."""
        return f"{GROUP}/{self.value}-requested-at"
