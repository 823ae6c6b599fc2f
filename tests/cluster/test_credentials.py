"""A NATS that lets in only whom its operator has signed for, and one that speaks TLS."""

import asyncio
import base64
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import nkeys
import orjson
import pytest

from service.cluster.connection import UnfitServer, connect
from tests.nats_servers import NatsServer
from tests.servers import DEADLINE_S

pytestmark = pytest.mark.anyio

_UNLIMITED = ("subs", "data", "payload", "conn", "leaf", "imports", "exports", "mem_storage", "disk_storage")


class Party:
    """An operator, account or user: a key, and what another has signed of it.

    Source of the form: NATS JWT version 2 (JSON Web Tokens signed with Ed25519 keys).
    """

    def __init__(self, prefix: int) -> None:
        self.seed: str = bytes(nkeys.encode_seed(os.urandom(32), prefix)).decode()
        self._pair = nkeys.from_seed(self.seed.encode())
        self.name: str = self._pair.public_key.decode()

    def sign_for(self, party: "Party", kind: str, **claims: object) -> str:
        fields: Mapping[str, object] = {
            "jti": hashlib.sha256(party.name.encode()).hexdigest(),
            "iat": 1_790_000_000,
            "iss": self.name,
            "name": kind,
            "sub": party.name,
            "nats": {**claims, "type": kind, "version": 2},
        }
        signed = b".".join(map(_encoded, (orjson.dumps({"typ": "JWT", "alg": "ed25519-nkey"}), orjson.dumps(fields))))
        return b".".join((signed, _encoded(self._pair.sign(signed)))).decode()


def _encoded(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


class Operated:
    """What a NATS is configured with by its operator, and the files of users."""

    def __init__(self) -> None:
        operator, system, self._account = (
            Party(prefix)
            for prefix in (nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_ACCOUNT)
        )
        limits = dict.fromkeys(_UNLIMITED, -1) | {"wildcards": True}
        no_storage = {"mem_storage": 0, "disk_storage": 0}
        accounts = {
            system.name: operator.sign_for(system, "account", limits=limits | no_storage),
            self._account.name: operator.sign_for(self._account, "account", limits=limits),
        }
        preloaded = "\n".join(f"{name}: {token}" for name, token in accounts.items())
        self.config = (
            f"operator: {operator.sign_for(operator, 'operator')}\nsystem_account: {system.name}\n"
            f"resolver: MEMORY\nresolver_preload: {{\n{preloaded}\n}}\n"
        )

    def write_user(self, file: Path, *, account: Party | None = None) -> None:
        user = Party(nkeys.PREFIX_BYTE_USER)
        token = (account or self._account).sign_for(user, "user", subs=-1, data=-1, payload=-1)
        file.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )


async def test_whom_the_operator_has_signed_for_is_let_in_with_the_file_of_then(tmp_path: Path) -> None:
    operated, file = Operated(), tmp_path / "gateway.creds"
    operated.write_user(file)
    async with NatsServer(config=operated.config) as nats:
        connection = await connect(nats.url, "gateway", credentials=file)
        await connection.js.account_info()
        operated.write_user(file)  # another one from now on
        is_back = asyncio.Event()
        connection.on_state.append(lambda is_connected: is_back.set() if is_connected else None)
        nats.restart()
        await asyncio.wait_for(is_back.wait(), 3 * DEADLINE_S)
        await connection.close()

        operated.write_user(file, account=Party(nkeys.PREFIX_BYTE_ACCOUNT))
        with pytest.raises(UnfitServer, match="does not let us in"):
            await connect(nats.url, "stranger", credentials=file)
        with pytest.raises(UnfitServer, match="does not let us in"):
            await connect(nats.url, "nobody")
