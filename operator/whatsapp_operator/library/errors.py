"""What the library raises.

    LibraryError
    ├── InvalidArgument        what a manager or `Settings` was given cannot be meant; it is a ValueError, too
    ├── ManagerClosed          a call on a closed manager, or one that `close` has ended; it is a RuntimeError, too
    ├── RecordUnreadable       what the store has of an instance is no record
    └── InstanceError
        ├── ServerUnknown          nothing could be read of the instance, so nothing was done
        ├── CleanupRefused         a cleanup is not called for, or is held back; nothing was done
        │   └── SessionLossNotAllowed   the instance is protected: `allow_session_loss=True` is needed
        └── CleanupUnfinished      DELETE may have been sent, and the instance was not proved gone

A check, a recovery and `ensure_healthy_instance` raise no InstanceError: what they could not find out is in their
result.
"""

from __future__ import annotations

from whatsapp_operator.library import advice
from whatsapp_operator.library.results import State
from whatsapp_operator.recovery import strategies
from whatsapp_operator.resources.reasons import Reason


class LibraryError(Exception):
    """The root of all that the library raises."""


class InvalidArgument(LibraryError, ValueError):  # noqa: N818 - the fact is the name, and the root says error
    """What a manager or `Settings` was given cannot be meant; the text names it."""


class ManagerClosed(LibraryError, RuntimeError):  # noqa: N818 - the fact is the name, and the root says error
    """The manager is closed; a call that was under way then is where a cancelled one is."""

    def __init__(self) -> None:
        super().__init__("the manager is closed: make another one")


class RecordUnreadable(LibraryError):  # noqa: N818 - the fact is the name, and the root says error
    """What the store has of the instance `name` is no record: somebody else wrote it, or the file is damaged."""

    def __init__(self, name: str, *, where: str) -> None:
        super().__init__(
            f"the record of instance {name!r} in {where} cannot be read: put the file back from a copy, or forget the "
            f"instance by the store's delete({name!r}); its attempts then count from zero"
        )
        self.name = name


class InstanceError(LibraryError):
    """The root of what a cleanup raises; `name` is the instance's."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class ServerUnknown(InstanceError):  # noqa: N818 - the fact is the name, and the root says error
    """Nothing could be read of the instance, so nothing was done; `reason` tells why."""

    def __init__(self, name: str, *, reason: Reason) -> None:
        why = advice.WHY_UNKNOWN.get(reason, str(reason))
        super().__init__(name, f"nothing could be read of instance {name!r}, so nothing was done: {why} ({reason})")
        self.reason = reason


class CleanupRefused(InstanceError):  # noqa: N818 - the fact is the name, and the root says error
    """The instance was not cleaned up, and nothing was called; `reasons` tell all that is against it."""

    def __init__(self, name: str, *, state: State, reasons: tuple[Reason, ...], message: str = "") -> None:
        against = advice.against_cleanup(reasons)
        super().__init__(name, message or f"instance {name!r} is {state}, and is not cleaned up: {against}")
        self.state, self.reasons = state, reasons


class SessionLossNotAllowed(CleanupRefused):
    """The instance is protected, and the call did not allow to lose what it holds."""

    def __init__(self, name: str, *, state: State, paired: bool, data: int) -> None:
        holds = "is paired, or may be" if paired else f"holds {data} messages, contacts and chats"
        message = (
            f"instance {name!r} {holds}, which a cleanup loses for good: a person with the phone has to pair it again. "
            f"Pass allow_session_loss=True to clean it up all the same"
        )
        super().__init__(name, state=state, reasons=(Reason.APPROVAL_REQUIRED,), message=message)


class CleanupUnfinished(InstanceError):  # noqa: N818 - the fact is the name, and the root says error
    """The instance is not proved gone. Call again later: a cleanup goes on where the server has come to.

    `pending`: DELETE was accepted, and the instance is still there. `refused`: the server said no, or the instance has
    opened meanwhile and was spared. `uncertain`: a call got no answer that proves anything.
    """

    def __init__(self, name: str, *, done: strategies.Done) -> None:
        how = done.value.lower()
        super().__init__(name, f"instance {name!r} is not proved gone: its deletion is {how}")
        self.how = how
