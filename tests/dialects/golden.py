"""Recorded requests and answers of the original services: read, sent to a server of ours, and compared.

What counts is told by `golden/NAME/index.json`: the status, the media type, the seed, decoded pixels (never compressed
bytes), `type`, `loc` and `msg` of what a body got wrong and the names of whatever else is told of it, and the keys of
an error.
"""

import base64
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from PIL import Image

FOLDER: Final = Path(__file__).parent / "golden"
ERROR_KEYS: Final = {"error", "detail", "body", "errors"}
_BOUNDARY: Final = "goldenboundary"
_TOLERANCE: Final = {"JPEG": 24, "WEBP": 24, "GIF": 40}
"""Of one channel of one pixel, of 255, in lossy formats; encoders differ between versions."""
_MEAN_TOLERANCE: Final = {"JPEG": 3.0, "WEBP": 3.0, "GIF": 6.0}
_ROUNDING: Final = 1
"""In lossless formats: OpenCV's fills differ by as much between versions."""
_FIELDS_OF_MISTAKES: Final = ("type", "loc", "msg")
_VOLATILE: Final = frozenset({"ctime", "mtime"})


@dataclass(frozen=True)
class Case:
    """One request and its recorded answer."""

    file: str
    name: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]

    @property
    def status(self) -> int:
        return int(self.response["status"])

    def __str__(self) -> str:
        return f"{self.file}/{self.name}"


def cases(service: str, *files: str) -> list[Case]:
    """All cases of some files of a service, in the order they were recorded."""
    found = []
    for file in files:
        recorded = json.loads((FOLDER / service / f"{file}.json").read_text("utf-8"))
        found += [Case(file, case["name"], case["request"], case["response"]) for case in recorded["cases"]]
    return found


def send(client: httpx.Client, case: Case, changes: Mapping[str, Any] | None = None) -> httpx.Response:
    """Send the request of a case as it was sent.

    Args:
        changes: fields of the JSON body that stand in the recording for something too large to keep.
    """
    asked = case.request
    headers = dict(asked.get("headers", {}))
    content: bytes | None = None
    if "json" in asked:
        body = {**asked["json"], **changes} if changes else asked["json"]
        content = json.dumps(body).encode()
    elif "raw" in asked:
        content = asked["raw"].encode()
    elif "multipart" in asked:
        content = _multipart(asked["multipart"])
    return client.request(asked["method"], asked["path"], headers=headers, content=content)


def differences(case: Case, answer: httpx.Response, *, ignoring: Iterable[str] = ()) -> list[str]:
    """In what an answer differs from the recorded one, in words; empty if in nothing that counts.

    Args:
        ignoring: keys of a JSON body that do not count; `alpha`: whether a picture has transparency does not
            either; `pixels`: nor what it shows.
    """
    found = []
    expected = case.response
    if answer.status_code != expected["status"]:
        found.append(f"status {answer.status_code}, recorded {expected['status']}: {answer.text[:300]}")
        return found
    recorded_type = expected["headers"].get("content-type", "").partition(";")[0]
    given_type = answer.headers.get("content-type", "").partition(";")[0]
    if given_type != recorded_type:
        found.append(f"media type {given_type!r}, recorded {recorded_type!r}")
    found += [
        f"{name} {answer.headers.get(name)!r}, recorded {expected['headers'].get(name)!r}"
        for name in ("x-seed", "x-width", "x-height")
        if expected["headers"].get(name) != answer.headers.get(name)
    ]
    if case.request["method"] == "HEAD":
        return found
    if "image" in expected:
        told = {key: value for key, value in expected.items() if not (key == "body_base64" and "pixels" in ignoring)}
        found += _picture_differences(told, answer.content, ignores_alpha="alpha" in ignoring)
    elif "body_json" in expected:
        found += _json_differences(expected["body_json"], answer.json(), frozenset(ignoring))
    return found


def with_status(case: Case, status: int) -> Case:
    """The same case, answered with another status."""
    return replace(case, response={**case.response, "status": status})


def rgb(content: bytes) -> np.ndarray[Any, np.dtype[np.int16]]:
    """The colours of a picture file, (H, W, 3), as numbers that may be subtracted."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"), np.int16)


def _picture_differences(expected: Mapping[str, Any], content: bytes, *, ignores_alpha: bool) -> list[str]:
    told = expected["image"]
    with Image.open(io.BytesIO(content)) as image:
        found = [
            f"{what} {given!r}, recorded {recorded!r}"
            for what, given, recorded in (
                ("format", image.format, told["format"]),
                ("size", list(image.size), told["size"]),
                ("mode", image.mode, told["mode"]),
            )
            if given != recorded and not (what == "mode" and ignores_alpha)
        ]
        if "parameters" in told["info"] and image.info.get("parameters") != told["info"]["parameters"]:
            found.append("the text `parameters` is not that of the input")
        exif = {str(tag): str(value) for tag, value in image.getexif().items()}
        if image.format == "JPEG" and "exif" in told and told["exif"].get("270") != exif.get("270"):
            found.append(f"EXIF {exif}, recorded {told['exif']}")
        alpha = np.asarray(image.getchannel("A"), np.int16) if image.mode == "RGBA" else None
    if "body_base64" not in expected or found:
        return found
    recorded_bytes = base64.b64decode(expected["body_base64"])
    distance = np.abs(rgb(content) - rgb(recorded_bytes))
    most, mean = _TOLERANCE.get(told["format"], _ROUNDING), _MEAN_TOLERANCE.get(told["format"], 0.01)
    if distance.max() > most or distance.mean() > mean:
        found.append(f"pixels differ by up to {distance.max()} of 255, {distance.mean():.2f} on average")
    if alpha is not None and told["mode"] == "RGBA":
        with Image.open(io.BytesIO(recorded_bytes)) as recorded:
            if not np.array_equal(alpha, np.asarray(recorded.getchannel("A"), np.int16)):
                found.append("transparency differs")
    return found


def _json_differences(expected: Any, given: Any, ignoring: frozenset[str]) -> list[str]:
    if isinstance(expected, dict) and isinstance(given, dict):
        if set(expected) == ERROR_KEYS:
            found = [] if set(given) == ERROR_KEYS else [f"keys {sorted(given)}, recorded {sorted(expected)}"]
            if not found and "detail" not in ignoring and expected["detail"] != given["detail"]:
                found.append(f"detail {given['detail']!r}, recorded {expected['detail']!r}")
            return found
        if isinstance(expected.get("detail"), list):
            return _mistake_differences(expected["detail"], given.get("detail"))
        return [
            f"{key}: {given.get(key)!r:.200}, recorded {value!r:.200}"
            for key, value in expected.items()
            if key not in ignoring and key not in _VOLATILE and given.get(key) != value
        ]
    if isinstance(expected, list) and isinstance(given, list) and len(expected) == len(given):
        if expected and isinstance(expected[0], dict):
            return [line for pair in zip(expected, given, strict=True) for line in _json_differences(*pair, ignoring)]
        return [] if expected == given else [f"{given!r:.300}, recorded {expected!r:.300}"]
    return [] if expected == given else [f"{given!r:.300}, recorded {expected!r:.300}"]


def _mistake_differences(expected: list[Mapping[str, Any]], given: Any) -> list[str]:
    def told(mistakes: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
        values = [[mistake.get(field) for field in _FIELDS_OF_MISTAKES] for mistake in mistakes]
        return [[*value, *sorted(mistake.keys())] for value, mistake in zip(values, mistakes, strict=True)]

    if not isinstance(given, list) or told(given) != told(expected):
        return [f"mistakes {given!r:.300}, recorded {told(expected)!r:.300}"]
    return []


def _multipart(part: Mapping[str, str]) -> bytes:
    head = (
        f"--{_BOUNDARY}\r\n"
        f'Content-Disposition: form-data; name="{part["field"]}"; filename="{part["filename"]}"\r\n'
        f"Content-Type: {part['content_type']}\r\n\r\n"
    )
    return head.encode() + base64.b64decode(part["data_base64"]) + f"\r\n--{_BOUNDARY}--\r\n".encode()
