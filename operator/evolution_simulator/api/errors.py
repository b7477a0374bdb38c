"""Errors as the server's exception filter writes them.

ApiError            a thrown exception: its message in an array
 └─ PlainError      401 and uncaught JavaScript errors: its message as it is
"""

from typing import Any

from evolution_simulator import version
from evolution_simulator.api import message

REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    500: "Internal Server Error",
}
DATABASE_DOWN = (
    "PrismaClientKnownRequestError: \nInvalid `prisma.instance.findMany()` invocation:\n\n\n"
    "Can't reach database server at `127.0.0.1:5432`"
)
NOT_CONNECTED_CODE = "[object Object]"


class ApiError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, text: Any) -> None:
        super().__init__(text)
        self.status = status
        self.text = text

    def reply(self) -> message.Reply:
        """The error as the client sees it."""
        return body(self.status, [self.text])


class PlainError(ApiError):
    """An error whose text does not come in an array."""

    def reply(self) -> message.Reply:
        """The error as the client sees it."""
        return body(self.status, self.text)


def body(status: int, text: Any) -> message.Reply:
    """The common form of all errors."""
    reason = REASONS.get(status, "Internal Server Error")
    return message.reply(status, {"status": status, "error": reason, "response": {"message": text}})


def unauthorized() -> PlainError:
    """The key is missing or wrong."""
    return PlainError(401, "Unauthorized")


def database_down() -> ApiError:
    """The database did not answer."""
    return ApiError(500, DATABASE_DOWN)


def unreadable(subject: str) -> PlainError:
    """JavaScript read a property of something that is not there."""
    return PlainError(500, f"Cannot read properties of undefined (reading '{subject}')")


def wrong_channel(integration: version.Integration) -> ApiError:
    """Only WHATSAPP-BAILEYS can do it."""
    business = integration is version.Integration.BUSINESS
    return ApiError(400, f"Method not available on {'WhatsApp Business API' if business else 'Evolution Channel'}")


def profile_failed(cause: str) -> PlainError:
    """`fetchBusinessProfile` did not come to an end."""
    return PlainError(500, ["Error updating profile name", cause])


def setting_without_row(release: version.Version) -> str:
    """Prisma's text for settings of an instance that has no row."""
    line = release.settings_line
    return (
        "\nInvalid `this.prismaRepository.setting.upsert()` invocation in\n"
        f"/evolution/src/api/services/channel.service.ts:{line}:41\n\n"
        f"  {line - 3} }}\n  {line - 2} \n  {line - 1} public async setSettings(data: SettingsDto) {{\n"
        f"→ {line}   await this.prismaRepository.setting.upsert(\n"
        "Foreign key constraint violated on the constraint: `Setting_instanceId_fkey`"
    )


def webhook_without_row() -> str:
    """Prisma's text for a webhook of an instance that has no row."""
    return (
        "\nInvalid `this.prismaRepository.webhook.upsert()` invocation\n"
        "Foreign key constraint violated on the constraint: `Webhook_instanceId_fkey`"
    )


def logout_race() -> str:
    """Prisma's text when a logout finds its Session row already gone."""
    return (
        "PrismaClientKnownRequestError: \nInvalid `this.prismaRepository.session.delete()` invocation\n"
        "An operation failed because it depends on one or more records that were required but not found. "
        "No record was found for a delete."
    )
