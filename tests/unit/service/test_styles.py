"""Requests that name styles, over files that are made up. The route is in tests/integration/test_styles.py."""

import threading
from collections.abc import Sequence

import pytest

from protocol.errors import ErrorCode, ProtocolError
from protocol.prompting import StyleInfo
from protocol.requests import JobRequest, parse_job_request
from service.styles import Styles

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Files:
    """Knows one style; which thread asked is written down."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def infos(self) -> Sequence[StyleInfo]:
        self.threads.add(threading.get_ident())
        return [StyleInfo(name="Ink", source="files", prompt="{prompt}!")]

    def check(self, names: Sequence[str]) -> tuple[int, str] | None:
        self.threads.add(threading.get_ident())
        unknown = [(number, f"no {name}") for number, name in enumerate(names) if name != "Ink"]
        return unknown[0] if unknown else None


def request(**params: object) -> JobRequest:
    return parse_job_request({"task": "text_to_image", "params": {"prompt": "a cat", **params}})


async def test_styles_that_are_there_are_let_through() -> None:
    await Styles(Files()).check(request(styles=["Ink", "Ink"]))


async def test_one_that_is_not_is_refused_at_its_place() -> None:
    with pytest.raises(ProtocolError, match=r"styles: no Oil, at \$\.job\.params\.styles\[1\]") as caught:
        await Styles(Files()).check(request(styles=["Ink", "Oil"]), at="$.job")
    assert (caught.value.code, caught.value.field) == (ErrorCode.INVALID_PARAMS, "$.job.params.styles[1]")


async def test_who_names_none_costs_nothing_and_the_event_loop_reads_no_file() -> None:
    files = Files()
    styles = Styles(files)
    await styles.check(request())
    await styles.check(parse_job_request({"task": "test_pattern", "params": {}}))
    assert files.threads == set()
    await styles.check(request(styles=["Ink"]))
    assert [info.name for info in (await styles.list()).styles] == ["Ink"]
    assert threading.get_ident() not in files.threads
