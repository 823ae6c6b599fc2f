import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from protocol.errors import ErrorCode, ProtocolError
from service import auth
from service.auth import LOCAL, Key, KeyRecord, KeyRing, Scope, new_key
from service.database import StoreUnavailable
from service.migrations import DATABASE_NAME

pytestmark = pytest.mark.anyio
READER = frozenset({Scope.JOBS_READ})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Table:
    """The stored records, and how often they were read; a clock beside it."""

    def __init__(self, *records: KeyRecord) -> None:
        self.records = list(records)
        self.reads = 0
        self.now = 1000.0
        self.is_away = False

    async def load(self) -> Sequence[KeyRecord]:
        self.reads += 1
        if self.is_away:
            raise StoreUnavailable("away")
        await asyncio.sleep(0)
        return tuple(self.records)

    def ring(self, *configured: str) -> KeyRing:
        return KeyRing(configured, self.load, clock=lambda: self.now)


async def test_who_was_let_in_is_let_in_while_the_records_cannot_be_read() -> None:
    known, unknown = new_key("known", READER), new_key("unknown", READER)
    table = Table(known.record)
    ring = table.ring()
    assert await ring.find(known.secret)
    table.is_away = True
    table.now += 10
    assert await ring.find(known.secret) == Key(known.record.id, "known", READER)
    reads = table.reads
    assert await ring.find(known.secret)
    assert table.reads == reads, "nobody waits for each request again"
    assert await ring.find(None) is None
    table.now += 10
    with pytest.raises(StoreUnavailable):  # and not: there is no such key
        await ring.find(unknown.secret)
    table.is_away = False
    table.records = [unknown.record]
    table.now += 10
    assert await ring.find(unknown.secret)
    assert await ring.find(known.secret) is None


async def test_nobody_is_let_in_before_the_records_were_read_once() -> None:
    table = Table()
    table.is_away = True
    with pytest.raises(StoreUnavailable):
        await table.ring().find(None)


async def test_without_any_key_the_caller_is_local_and_may_do_everything() -> None:
    ring = Table().ring()
    assert await ring.find(None) is LOCAL
    assert await ring.find("whatever") is LOCAL
    assert not ring.has_keys
    assert all(LOCAL.allows(scope) for scope in Scope)


async def test_with_a_key_nobody_is_local() -> None:
    ring = Table(new_key("a", READER).record).ring()
    assert await ring.find(None) is None
    assert await ring.find("") is None
    assert await ring.find("sl_wrong") is None
    assert ring.has_keys


async def test_a_stored_key_is_found_by_its_secret_alone() -> None:
    first, second = new_key("first", READER), new_key("second", {Scope.ADMIN})
    ring = Table(first.record, second.record).ring()
    assert await ring.find(second.secret) == Key(second.record.id, "second", frozenset({Scope.ADMIN}))
    assert await ring.find(second.record.hash) is None
    assert await ring.find(second.secret[:-1]) is None
    assert await ring.find(second.secret + "x") is None


async def test_a_configured_key_may_do_everything_with_its_own_jobs() -> None:
    key = await Table().ring("one", "two").find("two")
    assert key is not None
    assert not key.is_admin
    assert key.allows(Scope.JOBS_WRITE)
    assert key.allows(Scope.MODELS_WRITE)


async def test_a_configured_key_keeps_its_id_when_the_list_is_reordered() -> None:
    before, after = await Table().ring("one", "two").find("two"), await Table().ring("two", "one").find("two")
    assert before is not None
    assert before == after
    assert before != await Table().ring("one", "two").find("one")


async def test_a_key_added_while_the_server_runs_is_found_within_a_second() -> None:
    table = Table(new_key("old", READER).record)
    ring = table.ring()
    added = new_key("new", READER)
    assert await ring.find(added.secret) is None
    table.records.append(added.record)
    table.now += 1.0
    assert await ring.find(added.secret) == added.record.key()


async def test_unknown_keys_do_not_make_it_read_more_than_once_a_second() -> None:
    table = Table(new_key("old", READER).record)
    ring = table.ring()
    for _ in range(10):
        table.now += 0.25
        await ring.find("sl_guess")
    assert table.reads <= 3


async def test_a_revoked_key_is_refused_within_a_few_seconds() -> None:
    made = new_key("a", READER)
    table = Table(made.record)
    ring = table.ring()
    assert await ring.find(made.secret) is not None
    table.records[0] = replace(made.record, revoked_at="2026-01-01T00:00:00.000Z")
    table.now += 3.0
    assert await ring.find(made.secret) is None


async def test_revoking_the_last_key_does_not_open_the_server() -> None:
    made = new_key("a", READER)
    ring = Table(replace(made.record, revoked_at="2026-01-01T00:00:00.000Z")).ring()
    assert await ring.find(None) is None
    assert await ring.find(made.secret) is None
    assert ring.has_keys


async def test_callers_who_come_at_once_share_one_reading() -> None:
    made = new_key("a", READER)
    table = Table(made.record)
    ring = table.ring()
    found = await asyncio.gather(*(ring.find(made.secret) for _ in range(20)))
    assert found == [made.record.key()] * 20
    assert table.reads == 1


async def test_an_endless_or_strange_secret_is_merely_unknown() -> None:
    ring = Table(new_key("a", READER).record).ring()
    assert await ring.find("x" * 100_000) is None
    assert await ring.find("sl_\udcff\0é") is None


def test_a_key_without_the_scope_is_forbidden() -> None:
    with pytest.raises(ProtocolError, match="jobs:write") as caught:
        Key("1", "a", READER).require(Scope.JOBS_WRITE)
    assert caught.value.code is ErrorCode.FORBIDDEN
    Key("1", "a", frozenset({Scope.ADMIN})).require(Scope.JOBS_WRITE)


def test_a_secret_is_recognisable_long_and_never_in_its_record() -> None:
    made = new_key("a", READER)
    assert re.fullmatch(r"sl_[A-Za-z0-9_-]{43}", made.secret)
    assert made.secret not in repr(made.record)
    assert made.secret != new_key("a", READER).secret


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({}, None),
        ({"X-Api-Key": "a"}, "a"),
        ({"authorization": "Bearer a"}, "a"),
        ({"authorization": "bearer  a "}, "a"),
        ({"authorization": "Bearer"}, None),
        ({"authorization": "Basic a"}, None),
        ({"x-api-key": "a", "authorization": "Bearer b"}, "a"),
        ({"x-api-key": "", "authorization": "Bearer b"}, "b"),
    ],
)
def test_the_secret_is_found_in_either_header(headers: dict[str, str], secret: str | None) -> None:
    assert auth.secret_from_headers(Headers(headers), "X-API-Key") == secret


def test_the_secret_is_found_among_the_subprotocols() -> None:
    assert auth.secret_from_subprotocols(["safelight.v1.json", "safelight.key.sl_a"]) == "sl_a"
    assert auth.secret_from_subprotocols(["safelight.v1.json", "safelight.key."]) is None


def test_an_added_key_is_listed_and_its_secret_is_nowhere_in_the_database(tmp_path: Path) -> None:
    secret = auth.add_key(tmp_path / "data", "laptop", {Scope.JOBS_READ, Scope.JOBS_WRITE})
    (record,) = auth.list_keys(tmp_path / "data")
    assert (record.name, record.scopes) == ("laptop", {Scope.JOBS_READ, Scope.JOBS_WRITE})
    assert record.revoked_at is None
    assert secret.encode() not in (tmp_path / "data" / DATABASE_NAME).read_bytes()


async def test_a_key_added_offline_opens_a_ring_that_reads_the_same_table(tmp_path: Path) -> None:
    secret = auth.add_key(tmp_path, "laptop", READER)

    async def load() -> Sequence[KeyRecord]:
        return auth.list_keys(tmp_path)

    key = await KeyRing((), load).find(secret)
    assert key is not None
    assert key.name == "laptop"


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_key_is_revoked_by_id_or_name_and_only_once(by: str, tmp_path: Path) -> None:
    auth.add_key(tmp_path, "laptop", READER)
    auth.add_key(tmp_path, "other", READER)
    wanted = getattr(auth.list_keys(tmp_path)[0], by)
    assert auth.revoke_key(tmp_path, wanted).revoked_at is not None
    assert [record.revoked_at is None for record in auth.list_keys(tmp_path)] == [False, True]
    with pytest.raises(auth.KeyProblem, match="no key in use"):
        auth.revoke_key(tmp_path, wanted)


def test_a_name_in_use_is_not_given_twice_but_can_be_taken_again_after_revoking(tmp_path: Path) -> None:
    auth.add_key(tmp_path, "laptop", READER)
    with pytest.raises(auth.KeyProblem, match="laptop"):
        auth.add_key(tmp_path, "laptop", READER)
    auth.revoke_key(tmp_path, "laptop")
    auth.add_key(tmp_path, "laptop", READER)
    assert len(auth.list_keys(tmp_path)) == 2


def test_a_scope_of_a_later_version_allows_nothing() -> None:
    row = {"id": "1", "name": "a", "hash": "0", "scopes": "jobs:read jobs:dream", "created_at": "", "revoked_at": None}
    assert KeyRecord.from_row(row).scopes == {Scope.JOBS_READ}
