"""The one error table: each class fixes a status and carries OpenAI's body.

Classes are named as in the official SDK, which raises the class of the same name at the client.
Services raise them; one function in ``api/app.py`` renders them.
"""

from collections.abc import Collection
from typing import Any, ClassVar


class APIError(Exception):
    """An answer in OpenAI's error shape.

    ``retryable`` is None where the SDK's own rule (retry 408, 409, 429 and 5xx) is right; False
    sends ``x-should-retry: false``. ``retry_after`` is in seconds.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str | None] = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        error_type: str | None = None,
        retry_after: float | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code if code is not None else self.default_code
        self.error_type = error_type or self.type
        self.retry_after = retry_after
        self.retryable = retryable

    def body(self) -> dict[str, Any]:
        """Return ``{"error": {message, type, param, code}}``."""
        return {
            "error": {
                "message": self.message,
                "type": self.error_type,
                "param": self.param,
                "code": self.code,
            }
        }


class BadRequestError(APIError):
    status = 400
    type = "invalid_request_error"


class AuthenticationError(APIError):
    status = 401
    type = "invalid_request_error"


class PermissionDeniedError(APIError):
    status = 403
    type = "invalid_request_error"


class NotFoundError(APIError):
    status = 404
    type = "invalid_request_error"


class MethodNotAllowedError(APIError):
    """The path is known, but only by the ``allowed`` methods."""

    status = 405
    type = "invalid_request_error"
    default_code = "method_not_supported"

    def __init__(self, message: str, allowed: Collection[str]) -> None:
        super().__init__(message)
        self.allowed = allowed


class ConflictError(APIError):
    status = 409
    type = "invalid_request_error"


class RequestTooLargeError(APIError):
    status = 413
    type = "invalid_request_error"
    default_code = "request_too_large"


class UnsupportedMediaTypeError(APIError):
    status = 415
    type = "invalid_request_error"
    default_code = "unsupported_content_type"


class RangeNotSatisfiableError(APIError):
    """The range asked for lies outside of the content, which has ``size`` bytes."""

    status = 416
    type = "invalid_request_error"

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


class RateLimitError(APIError):
    status = 429
    type = "rate_limit_error"
    default_code = "rate_limit_exceeded"


class InternalServerError(APIError):
    status = 500
    type = "server_error"


class NotBuiltError(APIError):
    """The operation is documented but not built: trying again will not help."""

    status = 501
    type = "server_error"
    default_code = "not_implemented"

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False)


class ServiceUnavailableError(APIError):
    """Overloaded or restarting: worth another try after ``retry_after`` seconds."""

    status = 503
    type = "server_error"
    default_code = "service_unavailable"
