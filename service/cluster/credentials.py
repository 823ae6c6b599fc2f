"""A .creds file of NATS: who we are, signed by the operator, and the key to prove it."""

import base64
import re
from pathlib import Path
from typing import Final

import nats.errors
import nkeys  # type: ignore[import-untyped] # it has no types

from service.settings import SettingsError

_PART: Final = re.compile(r"-----BEGIN ([A-Z ]+)-----\s*(?!-----)(\S+)\s*-+END \1-+")
_JWT: Final = "NATS USER JWT"
_SEED: Final = "USER NKEY SEED"


class Credentials:
    """Reads the file each time it is asked, so that it may be replaced.

    The library's own reader never returns from a file without these parts.

    Raises:
        SettingsError: the file cannot be read, or is none; later on that is an error of the client library's.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._part(_JWT)
            self._part(_SEED)
        except nats.errors.Error as error:
            raise SettingsError(f"nats_credentials: {error}") from None

    def jwt(self) -> bytearray:
        return bytearray(self._part(_JWT).encode())

    def sign(self, nonce: str) -> bytes:
        pair = nkeys.from_seed(bytearray(self._part(_SEED).encode()))
        try:
            return base64.b64encode(pair.sign(nonce.encode()))
        finally:
            pair.wipe()

    def _part(self, name: str) -> str:
        try:
            text = self._path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise nats.errors.Error(f"{self._path}: cannot be read: {error}") from None
        for found in _PART.finditer(text):
            if found[1] == name:
                return found[2]
        raise nats.errors.Error(f"{self._path}: has no part {name}; expected a file as `nsc generate creds` writes it")
