"""The setting `nats_url`: URLs of servers, perhaps with a name and password in them."""

from typing import TypedDict
from urllib.parse import unquote, urlsplit

from service.settings import SettingsError


def addresses(url: str) -> str:
    """The `HOST:PORT`s of URLs, without a name or password.

    Raises:
        SettingsError: they are none.
    """
    found = []
    for part in (part.strip() for part in url.split(",")):
        if not part:
            continue
        try:
            parts = urlsplit(part)
            if not parts.hostname:
                raise ValueError
            found.append(f"{parts.hostname}:{parts.port or 4222}")
        except ValueError:  # not repeated: there may be a password in it
            raise SettingsError(
                "nats_url: expected nats://[NAME:PASSWORD@]HOST[:PORT], several with commas; in a name or password "
                "write @ : / # ? and , as %40 %3A %2F %23 %3F and %2C"
            ) from None
    return ", ".join(found)


class Login(TypedDict, total=False):
    """As the client library takes it."""

    user: str
    password: str
    token: str


def login(url: str) -> Login:
    """The name and password, or token, in the first of the URLs that has one.

    Told to the library apart from the URLs: it takes them as they are written there, and has none for the servers
    that a server tells it of.
    """
    for part in url.split(","):
        parts = urlsplit(part.strip())
        if parts.username is not None and parts.password is not None:
            return {"user": unquote(parts.username), "password": unquote(parts.password)}
        if parts.username is not None:
            return {"token": unquote(parts.username)}
    return {}
