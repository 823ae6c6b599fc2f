"""Content negotiation: which of the media types on offer a client would rather have, and how it may be packed."""

from collections.abc import Sequence


def acceptable(header: str | None, offered: Sequence[str]) -> str | None:
    """The media type to answer with, or None if the client accepts none on offer.

    The first one on offer is what there is already: it is taken whenever it is acceptable at all, before a conversion
    to something the client may like better.

    Args:
        header: of `Accept`; None or empty accepts everything.

    Source: RFC 9110, section 12.5.1.
    """
    if not header or not header.strip():
        return offered[0]
    ranges = [_range(part) for part in header.split(",")]
    if _quality(ranges, offered[0]) > 0:
        return offered[0]
    best = max(offered, key=lambda media_type: _quality(ranges, media_type))
    return best if _quality(ranges, best) > 0 else None


def prefers(header: str | None, media_type: str) -> bool:
    """Whether a client names `media_type` itself, rather than accepting it along with everything."""
    return any(name == media_type and quality > 0 for name, quality in map(_range, (header or "").split(",")))


def accepts_encoding(header: str | None, coding: str) -> bool:
    """Whether a client takes content in this coding: it says so, by name or by `*`.

    Args:
        header: of `Accept-Encoding`; None or empty accepts content as it is, and no coding.

    Source: RFC 9110, section 12.5.3.
    """
    qualities = dict(map(_range, (header or "").split(",")))
    return qualities.get(coding, qualities.get("*", 0.0)) > 0


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return name, float(value)
            except ValueError:
                return name, 0.0
    return name, 1.0


def _quality(ranges: Sequence[tuple[str, float]], media_type: str) -> float:
    """The q of the most specific range that covers `media_type`."""
    for name in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        matching = [quality for pattern, quality in ranges if pattern == name]
        if matching:
            return max(matching)
    return 0.0
