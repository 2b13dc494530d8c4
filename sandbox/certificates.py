"""Certificates of pretend shops: good ones by an authority of their own, and those that shops have in the wild."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ISSUED_AT = datetime(2020, 1, 1, tzinfo=UTC)
GOOD_UNTIL = datetime(2099, 1, 1, tzinfo=UTC)


class Tls(StrEnum):
    """What is right or wrong with a shop's certificate."""

    GOOD = "good"  # by the pretend authority, for `localhost`
    SELF_SIGNED = "self_signed"
    EXPIRED = "expired"
    OTHER_NAME = "other_name"


@dataclass(frozen=True, slots=True)
class _Signer:
    key: ec.EllipticCurvePrivateKey
    name: x509.Name


def server_context(kind: Tls, folder: Path) -> ssl.SSLContext:
    """For a server; its certificate is written into `folder`, as the library wants files."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}.pem"
    path.write_bytes(_pem(kind))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def write_authority(folder: Path) -> Path:
    """The file that a client trusts to trust `Tls.GOOD`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "authority.pem"
    path.write_bytes(_authority()[1].public_bytes(serialization.Encoding.PEM))
    return path


@cache
def _authority() -> tuple[_Signer, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Pretend authority")
    made = _certificate(name, _Signer(key, name), key.public_key(), until=GOOD_UNTIL, hosts=None)
    return _Signer(key, name), made


def _pem(kind: Tls) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("pretend shop")
    signer = _Signer(key, name) if kind is Tls.SELF_SIGNED else _authority()[0]
    until = ISSUED_AT + timedelta(days=90) if kind is Tls.EXPIRED else GOOD_UNTIL
    hosts = ["another.example"] if kind is Tls.OTHER_NAME else ["localhost", "shop.localhost"]
    made = _certificate(name, signer, key.public_key(), until=until, hosts=hosts)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + made.public_bytes(serialization.Encoding.PEM)


def _certificate(
    name: x509.Name, signer: _Signer, key: ec.EllipticCurvePublicKey, *, until: datetime, hosts: list[str] | None
) -> x509.Certificate:
    """`hosts` None: an authority."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(signer.name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(ISSUED_AT)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=hosts is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
    )
    if hosts is not None:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer.key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
