"""A NATS that speaks TLS, with a certificate of its own."""

import asyncio
import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from service.cluster.connection import UnfitServer, connect
from tests.nats_servers import NatsServer
from tests.servers import DEADLINE_S

pytestmark = pytest.mark.anyio


def write_certificate(folder: Path) -> None:
    """`cert.pem` and `key.pem`, of 127.0.0.1, signed by itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nats")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


async def test_a_certificate_is_checked_and_the_connection_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_certificate(tmp_path)
    config = f'tls {{ cert_file: "{tmp_path}/cert.pem", key_file: "{tmp_path}/key.pem" }}'
    async with NatsServer(config=config) as nats:
        url = nats.url.replace("nats:", "tls:")
        with pytest.raises(UnfitServer, match="certificate verify failed"):
            await connect(url, "test", within_s=0.3)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        connection = await connect(url, "test")
        is_back = asyncio.Event()
        connection.on_state.append(lambda is_connected: is_back.set() if is_connected else None)
        nats.restart()
        await asyncio.wait_for(is_back.wait(), 3 * DEADLINE_S)
        await connection.js.account_info()
        await connection.close()
