"""An idempotency key is noted once, whichever gateways it comes to."""

import asyncio

import pytest

from service.cluster.connection import Connection, Unavailable
from service.cluster.idempotency import Earlier, Idempotency
from service.cluster.kv import Bucket
from service.cluster.names import Names
from service.settings import Settings
from tests.cluster.members import eventually, join
from tests.nats_servers import NatsServer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def noted(connection: Connection, names: Names, settings: Settings) -> Idempotency:
    await join(connection, names, settings)
    return Idempotency(Bucket(connection, names.bucket("idempotency")))


async def test_a_key_used_again_tells_of_the_first_job_and_request(noted: Idempotency) -> None:
    assert await noted.claim("me", "k", "digest", "j1") is None
    assert await noted.claim("me", "k", "other", "j2") == Earlier("j1", "digest")


async def test_trying_again_with_the_same_job_is_no_second_use(noted: Idempotency) -> None:
    for _ in range(2):
        assert await noted.claim("me", "k", "digest", "j1") is None


async def test_keys_of_different_callers_do_not_meet(noted: Idempotency) -> None:
    for number, (key_id, key) in enumerate([("me", "k"), ("you", "k"), ("m", "ek"), ("me", "k.*> é"), ("me", "")]):
        assert await noted.claim(key_id, key, "digest", f"j{number}") is None


async def test_of_many_at_once_one_is_noted(noted: Idempotency) -> None:
    answers = await asyncio.gather(*(noted.claim("me", "k", "digest", f"j{n}") for n in range(20)))
    (winner,) = [f"j{number}" for number, answer in enumerate(answers) if answer is None]
    assert {answer for answer in answers if answer is not None} == {Earlier(winner, "digest")}


async def test_a_key_whose_job_did_not_come_to_be_can_be_used_anew(noted: Idempotency) -> None:
    await noted.claim("me", "k", "digest", "j1")
    await noted.release("me", "k", "j2")
    assert await noted.claim("me", "k", "digest", "j2") == Earlier("j1", "digest")
    await noted.release("me", "k", "j1")
    assert await noted.claim("me", "k", "digest", "j2") is None
    assert await noted.claim("me", "k", "digest", "j3") == Earlier("j2", "digest")


async def test_a_key_is_still_known_after_nats_was_killed(
    nats: NatsServer, connection: Connection, noted: Idempotency
) -> None:
    await noted.claim("me", "k", "digest", "j1")
    nats.kill()
    await eventually(lambda: not connection.is_connected, "the connection to break")
    with pytest.raises(Unavailable):
        await noted.claim("me", "k", "digest", "j2")
    await nats.start_beside()
    await connection.until_connected()
    assert await noted.claim("me", "k", "digest", "j2") == Earlier("j1", "digest")


async def test_a_job_that_a_client_was_told_of_keeps_its_key(noted: Idempotency) -> None:
    await noted.claim("me", "k", "digest", "j1")
    assert not await noted.confirm("me", "k", "j2")
    assert await noted.confirm("me", "k", "j1")
    assert await noted.confirm("me", "k", "j1")
    assert not await noted.release("me", "k", "j1")
    assert await noted.claim("me", "k", "digest", "j2") == Earlier("j1", "digest", is_told=True)


async def test_a_job_whose_key_was_taken_back_is_told_of_to_nobody(noted: Idempotency) -> None:
    await noted.claim("me", "k", "digest", "j1")
    assert await noted.release("me", "k", "j1")
    assert await noted.release("me", "k", "j1")
    assert not await noted.confirm("me", "k", "j1")


async def test_of_telling_and_taking_back_at_once_one_wins(noted: Idempotency) -> None:
    for number in range(20):
        key, job_id = f"k{number}", f"j{number}"
        await noted.claim("me", key, "digest", job_id)
        told, taken_back = await asyncio.gather(noted.confirm("me", key, job_id), noted.release("me", key, job_id))
        assert told is not taken_back
