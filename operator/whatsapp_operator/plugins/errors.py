"""What a strategy of a plugin meets when it asks for more than its step may do. Nothing was sent then.

CallRefused
├── CallNotAllowed   the class of the step does not have this call
├── CallRepeated     a call that changes something was made before in this step
└── StepIsOver       the step has ended, or its time is up
"""

from __future__ import annotations


class CallRefused(Exception):  # noqa: N818 - the answer is the name
    """A call that was not made. The message says why, and what would be allowed."""


class CallNotAllowed(CallRefused):
    """The class of the step does not have this call."""


class CallRepeated(CallRefused):
    """A call that changes something was made before in this step."""


class StepIsOver(CallRefused):
    """The step has ended, or its time is up."""
