"""API keys: who is calling, and what they may do.

Keys come from the configuration (`api.keys`) and from the database (`safelight keys add`). A server with neither
serves its own machine only, as `LOCAL`; `service/guard.py` sees to that. A key that was revoked still
counts as configured: revoking the last one closes the server, it does not open it.

Stored is the SHA-256 of a key, not a slow password hash: a key made here has 256 random bits, which no
dictionary holds, and a slow hash would be paid on every request.
"""

import asyncio
import hashlib
import hmac
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeAlias

from protocol.errors import ErrorCode, ProtocolError
from protocol.ids import new_id
from protocol.version import KEY_SUBPROTOCOL_PREFIX
from service.clock import timestamp
from service.database import StoreUnavailable
from service.migrations import DATABASE_NAME, migrate

KEY_PREFIX: Final = "sl_"
_SECRET_BYTES: Final = 32
_LONGEST_SECRET: Final = 512
_STALE_AFTER_S: Final = 3.0
_RELOAD_INTERVAL_S: Final = 1.0


class Scope(StrEnum):
    """What a key may do. `admin` may do everything, with everybody's jobs."""

    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    MODELS_WRITE = "models:write"
    ADMIN = "admin"


CONFIGURED_SCOPES: Final = frozenset(Scope) - {Scope.ADMIN}
"""Of keys from the configuration: everything, with their own jobs."""


@dataclass(frozen=True, slots=True)
class Key:
    """The key a request came with: what the rest of the server knows of the caller."""

    id: str
    name: str
    scopes: frozenset[Scope]

    @property
    def is_admin(self) -> bool:
        """Whether it sees and cancels the jobs of all keys."""
        return Scope.ADMIN in self.scopes

    @property
    def visible(self) -> str | None:
        """The key id whose jobs it sees; None for those of all keys."""
        return None if self.is_admin else self.id

    def allows(self, scope: Scope) -> bool:
        return self.is_admin or scope in self.scopes

    def require(self, scope: Scope) -> None:
        """
        Raises:
            ProtocolError: `forbidden`: the key has not this scope.
        """
        if not self.allows(scope):
            raise ProtocolError(ErrorCode.FORBIDDEN, f"this needs a key with the scope {scope}")


LOCAL: Final = Key("local", "local", frozenset(Scope))
"""Whoever calls a server that has no keys."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as the database has it; the key itself is not there."""

    id: str
    name: str
    hash: str
    scopes: frozenset[Scope]
    created_at: str
    revoked_at: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of the table `keys`. A scope this version does not know allows nothing."""
        known = frozenset(scope for scope in Scope if scope in row["scopes"].split())
        return cls(row["id"], row["name"], row["hash"], known, row["created_at"], row["revoked_at"])

    def key(self) -> Key:
        return Key(self.id, self.name, self.scopes)


Load: TypeAlias = Callable[[], Awaitable[Sequence[KeyRecord]]]
"""Reads all records, revoked ones too."""


class NewKey(NamedTuple):
    """A key that was just made. The secret is shown once and kept nowhere."""

    secret: str
    record: KeyRecord


def new_key(name: str, scopes: Collection[Scope]) -> NewKey:
    """Make a key; it is of use once its record is in the database."""
    secret = KEY_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    return NewKey(secret, KeyRecord(new_id(), name, _hash(secret), frozenset(scopes), timestamp()))


class KeyRing:
    """Finds the key that belongs to a secret.

    Records are read again when a secret is unknown, at most once a second, and otherwise when they are three seconds
    old: keys can be added and revoked while the server runs.

    Args:
        configured: keys in plain, from the settings.
        load: reads the records. If it cannot, those read before hold on; a call for which they do not do raises too.
        clock: seconds, rising.
    """

    def __init__(self, configured: Iterable[str], load: Load, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._configured = [(_hash(secret), _configured_key(secret)) for secret in configured]
        self._load = load
        self._clock = clock
        self._stored: list[tuple[str, Key]] = []
        self._any_stored = False
        self._loaded_at: float | None = None
        self._loading = asyncio.Lock()
        self._problem: StoreUnavailable | None = None
        """Why the last reading failed."""

    @property
    def has_keys(self) -> bool:
        """Whether callers need a key, as of the last reading."""
        return bool(self._configured) or self._any_stored

    async def refresh(self) -> None:
        """Read the records again if they are three seconds old, or never were read."""
        await self._reload(older_than_s=_STALE_AFTER_S)

    async def find(self, secret: str | None) -> Key | None:
        """The key of `secret`; `LOCAL` on a server without keys; else None.

        Raises:
            StoreUnavailable: it is none of those known, and whether there are others cannot be read.
        """
        await self.refresh()
        if secret is not None and self.has_keys:
            key = self._match(secret)
            if key is not None:
                return key
            await self._reload(older_than_s=_RELOAD_INTERVAL_S)
            key = self._match(secret)
            if key is None and self._problem is not None:
                raise self._problem  # it may have been added since
            return key
        return None if self.has_keys else LOCAL

    def _match(self, secret: str) -> Key | None:
        if len(secret) > _LONGEST_SECRET:
            return None
        wanted, found = _hash(secret), None
        # All are compared, each in constant time: how long it takes says nothing of which was nearly right.
        for known, key in (*self._configured, *self._stored):
            if hmac.compare_digest(known, wanted):
                found = key
        return found

    async def _reload(self, *, older_than_s: float) -> None:
        if self._is_fresher_than(older_than_s):
            return
        async with self._loading:
            if self._is_fresher_than(older_than_s):  # another caller has done it meanwhile
                return
            started_at = self._clock()
            try:
                records = await self._load()
            except StoreUnavailable as problem:
                if self._loaded_at is None:
                    raise
                # Whoever was let in before is not shut out for what may last minutes, nor has to wait for it each time.
                self._loaded_at, self._problem = self._clock(), problem
                return
            self._problem = None
            self._stored = [(record.hash, record.key()) for record in records if record.revoked_at is None]
            self._any_stored = bool(records)
            self._loaded_at = started_at

    def _is_fresher_than(self, age_s: float) -> bool:
        return self._loaded_at is not None and self._clock() - self._loaded_at < age_s


def secret_from_headers(headers: Mapping[str, str], key_header: str) -> str | None:
    """The key in the HTTP headers of a request: `key_header`, or `Authorization: Bearer`.

    Args:
        headers: looked up without regard to case, as Starlette's are.
    """
    secret = headers.get(key_header)
    if secret:
        return secret
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    return credentials.strip() or None if scheme.lower() == "bearer" else None


def secret_from_subprotocols(offered: Iterable[str]) -> str | None:
    """The key among the subprotocols a WebSocket client offers: `safelight.key.<key>`."""
    for subprotocol in offered:
        if subprotocol.startswith(KEY_SUBPROTOCOL_PREFIX):
            return subprotocol.removeprefix(KEY_SUBPROTOCOL_PREFIX) or None
    return None


class KeyProblem(Exception):
    """A key cannot be added or revoked; the message says why and what would do."""


def add_key(data_dir: Path, name: str, scopes: Collection[Scope]) -> str:
    """Add a key to the database of a server, running or not; returns the secret, which is kept nowhere.

    Raises:
        KeyProblem: a key of that name is in use, or the name is empty.
    """
    if not name.strip():
        raise KeyProblem("a key needs a name")
    with closing(_open(data_dir)) as database, database:
        if database.execute("SELECT 1 FROM keys WHERE name = ? AND revoked_at IS NULL", (name,)).fetchone():
            raise KeyProblem(f"a key named {name!r} is in use: revoke it first, or take another name")
        secret, record = new_key(name, scopes)
        database.execute(
            "INSERT INTO keys (id, name, hash, scopes, created_at) VALUES (?, ?, ?, ?, ?)",
            (record.id, name, record.hash, " ".join(sorted(record.scopes)), record.created_at),
        )
    return secret


def list_keys(data_dir: Path) -> Sequence[KeyRecord]:
    """All keys in the database, oldest first, revoked ones too."""
    with closing(_open(data_dir)) as database:
        return [KeyRecord.from_row(row) for row in database.execute("SELECT * FROM keys ORDER BY id")]


def revoke_key(data_dir: Path, id_or_name: str) -> KeyRecord:
    """Revoke a key in use; returns it as it is now. A running server refuses it within a few seconds.

    Raises:
        KeyProblem: there is none.
    """
    with closing(_open(data_dir)) as database, database:
        rows = database.execute(
            "UPDATE keys SET revoked_at = ? WHERE revoked_at IS NULL AND (id = ? OR name = ?) RETURNING *",
            (timestamp(), id_or_name, id_or_name),
        ).fetchall()
    if not rows:
        raise KeyProblem(f"no key in use has the id or the name {id_or_name!r}")
    return KeyRecord.from_row(rows[0])


def _open(data_dir: Path) -> sqlite3.Connection:
    data_dir.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(data_dir / DATABASE_NAME)
    try:
        database.row_factory = sqlite3.Row
        migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _configured_key(secret: str) -> Key:
    # By content, not by position: whoever owns a job still owns it after the list was reordered.
    number = hashlib.sha256(b"safelight key id " + secret.encode()).hexdigest()[:12]
    return Key(f"config-{number}", "configured", CONFIGURED_SCOPES)
