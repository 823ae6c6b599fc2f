"""A .creds file of NATS."""

import base64
from pathlib import Path

import nats.errors
import nkeys
import pytest

from service.cluster.credentials import Credentials
from service.settings import SettingsError

FILE = """-----BEGIN NATS USER JWT-----
{jwt}
------END NATS USER JWT------

************************* IMPORTANT *************************
NKEY Seed printed below can be used to sign and prove identity.

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------
"""


def new_seed() -> str:
    return bytes(nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_USER)).decode()


def test_a_nonce_is_signed_with_the_seed_of_the_file(tmp_path: Path) -> None:
    file, seed = tmp_path / "anna.creds", new_seed()
    file.write_text(FILE.format(jwt="eyJ0.eyJq.c2ln", seed=seed))
    credentials = Credentials(file)
    assert credentials.jwt() == b"eyJ0.eyJq.c2ln"
    signed = base64.b64decode(credentials.sign("nonce"))
    assert nkeys.from_seed(seed.encode()).verify(b"nonce", signed)


def test_a_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "anna.creds"
    file.write_text(FILE.format(jwt="old", seed=new_seed()))
    credentials = Credentials(file)
    file.write_text(FILE.format(jwt="new", seed=new_seed()))
    assert credentials.jwt() == b"new"
    file.unlink()
    with pytest.raises(nats.errors.Error, match="cannot be read"):
        credentials.jwt()


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        ("", "NATS USER JWT"),
        (FILE.format(jwt="", seed="a"), "NATS USER JWT"),
        (FILE.format(jwt="a", seed=""), "USER NKEY SEED"),
    ],
)
def test_a_file_that_lacks_a_part_is_refused(tmp_path: Path, content: str, missing: str) -> None:
    file = tmp_path / "anna.creds"
    file.write_text(content)
    with pytest.raises(SettingsError, match=f"nats_credentials: .*anna.creds: has no part {missing}"):
        Credentials(file)
