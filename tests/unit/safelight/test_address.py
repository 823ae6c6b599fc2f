import pytest

from safelight.address import Address


@pytest.mark.parametrize(
    ("typed", "http", "socket"),
    [
        ("localhost:8765", "http://localhost:8765", "ws://localhost:8765/v1/ws"),
        ("https://example.org/", "https://example.org", "wss://example.org/v1/ws"),
        ("http://example.org/safelight/", "http://example.org/safelight", "ws://example.org/safelight/v1/ws"),
    ],
)
def test_what_a_user_types_is_read_for_http_and_the_socket(typed: str, http: str, socket: str) -> None:
    address = Address.parse(typed)
    assert (address.http, address.socket) == (http, socket)


@pytest.mark.parametrize("typed", ["", "ftp://x", "http://", "http://x?y=1", "http://x:99999", "http://x:y"])
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="url: expected"):
        Address.parse(typed)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("127.0.0.1:1", True), ("http://[::1]:1", True), ("localhost", True), ("10.0.0.1", False), ("example.org", False)],
)
def test_only_our_own_machine_is_loopback(typed: str, expected: bool) -> None:
    assert Address.parse(typed).is_loopback is expected
