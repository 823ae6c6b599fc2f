"""What a dialect refuses in words and with a status of its own."""

from protocol.errors import ErrorCode, ProtocolError


class Refused(ProtocolError):
    """Something a dialect does not do, or not so.

    Args:
        status: the HTTP status, which the original may have chosen.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(ErrorCode.INVALID_PARAMS, detail)
        self.status = status
