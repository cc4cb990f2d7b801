"""Why a document can't be read."""

from typing import Literal

Code = Literal["unsupported_file", "invalid_file", "server_error"]


class UnreadableError(Exception):
    """The document has no text that can be had; ``code`` is one of OpenAI's."""

    def __init__(self, message: str, code: Code = "invalid_file") -> None:
        super().__init__(message)
        self.message = message
        self.code: Code = code
