"""Which servers are new enough."""

import pytest

from service.cluster.link import OldServer, is_new_enough


@pytest.mark.parametrize(
    "version", ["2.11", "2.11.0", "2.11.4-binary", "2.12.0-preview.1", "2.15.1", "3.0.0", "10.0.0"]
)
def test_a_server_of_2_11_or_later_is_new_enough(version: str) -> None:
    assert is_new_enough(version)


@pytest.mark.parametrize("version", ["2.9.10", "2.10.26", "2.2.0", "1.15.1", "0.0.0", "", "unknown", "nightly-2.15"])
def test_an_older_server_or_one_that_does_not_say_is_not(version: str) -> None:
    assert not is_new_enough(version)


def test_the_refusal_says_what_was_found_and_what_is_needed() -> None:
    told = str(OldServer("2.9.10", "nats.lan:4222"))
    assert told.startswith("NATS 2.9.10 at nats.lan:4222: 2.11 or newer is needed")
