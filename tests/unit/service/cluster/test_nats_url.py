"""URLs of NATS, with names and passwords in them."""

import pytest

from service.cluster.nats_url import addresses, login
from service.settings import SettingsError


def test_addresses_are_told_without_names_and_passwords() -> None:
    assert addresses("nats://anna:secret@a.lan:4222, tls://b.lan") == "a.lan:4222, b.lan:4222"


@pytest.mark.parametrize("url", ["nats://", "nats://anna:se#cret@host:4222", "nats://host:port", "nats://host:99999"])
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError, match="nats_url: expected nats://") as caught:
        addresses(url)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("nats://a.lan", {}),
        ("nats://anna:p%40ss%2C@a.lan,nats://b.lan", {"user": "anna", "password": "p@ss,"}),
        ("nats://a.lan, nats://anna:@b.lan", {"user": "anna", "password": ""}),
        ("nats://t%2Fken@a.lan", {"token": "t/ken"}),
    ],
)
def test_a_name_and_password_or_a_token_is_read_as_it_was_meant(url: str, found: dict[str, str]) -> None:
    assert login(url) == found
