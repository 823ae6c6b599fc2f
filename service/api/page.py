"""`/`: the page for people, from the `web` folder."""

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

_INDEX: Final = Path(__file__).parents[2] / "web" / "index.html"
_HEADERS: Final = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


async def index(_request: Request) -> Response:
    return FileResponse(_INDEX, media_type="text/html", headers=_HEADERS)


ROUTES: Final = (Route("/", index, methods=["GET"]),)
