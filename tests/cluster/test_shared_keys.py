"""API keys and secrets that all gateways of a cluster share."""

import asyncio
import os

import pytest

from service.auth import KeyProblem, KeyRing, Scope
from service.cluster.connection import Connection
from service.cluster.kv import Bucket
from service.cluster.names import Names
from service.cluster.shared_keys import SharedKeys, shared_secret
from service.settings import Settings
from tests.cluster.members import join

pytestmark = pytest.mark.anyio


@pytest.fixture
async def keys(connection: Connection, names: Names, settings: Settings) -> SharedKeys:
    await join(connection, names, settings)
    return SharedKeys(Bucket(connection, names.bucket("keys")))


@pytest.fixture
async def secrets(connection: Connection, names: Names, settings: Settings) -> Bucket:
    await join(connection, names, settings)
    return Bucket(connection, names.bucket("secrets"))


async def test_a_key_that_was_added_opens_every_gateway_until_it_is_revoked(keys: SharedKeys) -> None:
    secret = await keys.add("anna", {Scope.JOBS_READ})
    found = await KeyRing((), keys.load).find(secret)
    assert found is not None
    assert (found.name, found.scopes) == ("anna", {Scope.JOBS_READ})
    revoked = await keys.revoke("anna")
    assert revoked.revoked_at is not None
    ring = KeyRing((), keys.load)
    assert await ring.find(secret) is None
    assert ring.has_keys, "revoking the last key must not open the cluster"


async def test_keys_are_listed_oldest_first_without_their_secrets(keys: SharedKeys) -> None:
    secrets = [await keys.add(name, {Scope.ADMIN}) for name in ("a", "b", "c")]
    records = await keys.load()
    assert [record.name for record in records] == ["a", "b", "c"]
    assert not any(secret in repr(records) for secret in secrets)


async def test_a_name_can_be_used_again_only_when_its_key_is_revoked(keys: SharedKeys) -> None:
    await keys.add("a", {Scope.ADMIN})
    with pytest.raises(KeyProblem, match="in use"):
        await keys.add("a", {Scope.ADMIN})
    await keys.revoke((await keys.load())[0].id)
    await keys.add("a", {Scope.ADMIN})
    assert [record.revoked_at is None for record in await keys.load()] == [False, True]


async def test_of_keys_of_one_name_added_at_once_one_is_made(keys: SharedKeys) -> None:
    answers = await asyncio.gather(*(keys.add("a", {Scope.ADMIN}) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(answer, str) for answer in answers) == 1
    assert len(await keys.load()) == 1


async def test_keys_added_at_once_are_all_there(keys: SharedKeys) -> None:
    await asyncio.gather(*(keys.add(f"k{n}", {Scope.ADMIN}) for n in range(6)))
    assert {record.name for record in await keys.load()} == {f"k{n}" for n in range(6)}


async def test_a_key_without_a_name_is_refused(keys: SharedKeys) -> None:
    with pytest.raises(KeyProblem, match="needs a name"):
        await keys.add(" ", {Scope.ADMIN})


async def test_a_key_that_is_not_there_cannot_be_revoked(keys: SharedKeys) -> None:
    await keys.add("a", {Scope.ADMIN})
    with pytest.raises(KeyProblem, match="no key in use"):
        await keys.revoke("b")
    await keys.revoke("a")
    with pytest.raises(KeyProblem, match="no key in use"):
        await keys.revoke("a")


async def test_all_gateways_get_the_same_secret_however_they_start(secrets: Bucket) -> None:
    made = await asyncio.gather(*(shared_secret(secrets, "webhooks", lambda: os.urandom(24)) for _ in range(8)))
    assert len(set(made)) == 1
    assert await shared_secret(secrets, "webhooks", lambda: b"another") == made[0]
    assert await shared_secret(secrets, "else", lambda: b"another") == b"another"
