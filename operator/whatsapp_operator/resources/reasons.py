"""The one vocabulary for why: reasons of conditions, of Events, and labels of metrics.

A reason is part of the API: scripts and alerts match on it. Its words never change; new ones are added.
"""

from __future__ import annotations

import enum


class Reason(enum.StrEnum):
    """Why something is as it is, in CamelCase."""

    # Health: first the states that are well, then the design's table from existence to function.
    HEALTHY = "Healthy"
    AWAITING_SCAN = "AwaitingScan"
    GHOST = "Ghost"
    ROW_MISSING = "RowMissing"
    SESSION_MISSING = "SessionMissing"
    DEAD_SOCKET = "DeadSocket"
    RESTRICTED = "Restricted"
    LOGGED_OUT = "LoggedOut"
    CREDENTIALS_LOST = "CredentialsLost"
    NO_QR_CODE = "NoQRCode"
    CONNECTING = "Connecting"
    REPLACED = "Replaced"
    FLAPPING = "Flapping"
    CREDENTIALS = "Credentials"
    QR_EXPIRED = "QRExpired"
    CLOSED_SOCKET = "ClosedSocket"
    NOT_STARTED = "NotStarted"
    CHANNEL_CLOSED = "ChannelClosed"
    SETTLING = "Settling"
    NOT_FOUND = "NotFound"
    TERMINATING = "Terminating"
    UNKNOWN = "Unknown"
    NOT_OBSERVED = "NotObserved"

    # The single checks.
    EXISTS = "Exists"
    CONNECTED = "Connected"
    SETTLED = "Settled"
    CONSISTENT = "Consistent"
    FUNCTIONAL = "Functional"
    NOT_REQUESTED = "NotRequested"

    # The spec, and who may use what.
    SYNCED = "Synced"
    INVALID_SPEC = "InvalidSpec"
    ALREADY_EXISTS = "AlreadyExists"
    DUPLICATE = "Duplicate"
    SERVER_NOT_FOUND = "ServerNotFound"
    SERVER_NOT_ALLOWED = "ServerNotAllowed"
    SERVER_INVALID = "ServerInvalid"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a word, no secret
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105 - a word, no secret
    SECRET_NOT_OURS = "SecretNotOurs"  # noqa: S105 - a word, no secret
    HEADERS_NOT_FOUND = "HeadersNotFound"
    CONFIGURATION_PENDING = "ConfigurationPending"
    CONFIGURATION_REFUSED = "ConfigurationRefused"

    # The server.
    AVAILABLE = "Available"
    REACHABLE = "Reachable"
    SERVER_UNREACHABLE = "ServerUnreachable"
    TIMEOUT = "Timeout"
    NAME_NOT_RESOLVED = "NameNotResolved"
    CONNECTION_REFUSED = "ConnectionRefused"
    CONNECTION_BROKEN = "ConnectionBroken"
    TLS_ERROR = "TLSError"
    RATE_LIMITED = "RateLimited"
    SERVER_ERROR = "ServerError"
    NOT_JSON = "NotJSON"
    UNEXPECTED_SHAPE = "UnexpectedShape"
    NO_SUCH_ROUTE = "NoSuchRoute"
    REFUSED_BY_POLICY = "RefusedByPolicy"
    AUTHENTICATED = "Authenticated"
    KEY_REJECTED = "KeyRejected"
    COMPATIBLE = "Compatible"
    UNSUPPORTED_VERSION = "UnsupportedVersion"
    LICENSE_REQUIRED = "LicenseRequired"
    IDENTITY_CONFIRMED = "IdentityConfirmed"
    OTHER_IDENTITY = "OtherIdentity"
    INSTANCES_VANISHED = "InstancesVanished"
    WARMED_UP = "WarmedUp"
    WARMING_UP = "WarmingUp"

    # What recovery did, and what keeps it from doing more.
    REQUESTED = "Requested"
    RECOVERING = "Recovering"
    REMEDIATION_ALLOWED = "RemediationAllowed"
    PROTECTED_INSTANCE = "ProtectedInstance"
    RECOVERY_DISABLED = "RecoveryDisabled"
    DRY_RUN = "DryRun"
    PAUSED = "Paused"
    RETRY_DELAY = "RetryDelay"
    AWAITING_OBSERVATION = "AwaitingObservation"
    RECOVERY_EXHAUSTED = "RecoveryExhausted"
    CREATED = "Created"
    STEP_STARTED = "StepStarted"
    STEP_SUCCEEDED = "StepSucceeded"
    STEP_FAILED = "StepFailed"
    STEP_INTERRUPTED = "StepInterrupted"
    RECOVERED = "Recovered"
    DELETING = "Deleting"
    DELETED = "Deleted"
    DELETION_REFUSED = "DeletionRefused"
    DELETION_WAITS = "DeletionWaits"
    RETAINED = "Retained"
    ORPHANED = "Orphaned"
    ADOPTED = "Adopted"
