"""Parts of a picture that are to be found by a word, and painted anew. There is no such search here."""

from collections.abc import Iterable

from protocol.errors import ErrorCode, ProtocolError
from service.dialects.reading import Foreign


class EnhanceRegion(Foreign):
    """One of them, as far as it matters."""

    enhance_enabled: bool = False


def check_regions(regions: Iterable[EnhanceRegion]) -> None:
    """
    Raises:
        ProtocolError: `invalid_params`: one is enabled.
    """
    if any(region.enhance_enabled for region in regions):
        message = (
            "enhance_enabled: parts of a picture are not searched for by words on this server; "
            "send the picture and a mask to be inpainted instead"
        )
        raise ProtocolError(ErrorCode.INVALID_PARAMS, message)
