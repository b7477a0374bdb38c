"""The keys of one control plane: a certificate authority of its own, the API server's and the administrator's
certificates, and the key that signs the tokens of ServiceAccounts.

They are made anew for each start and live as long as its folder. The administrator is in `system:masters`, the group
that RBAC always lets through; everyone else needs a role.
"""

import base64
import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = datetime.timedelta(days=365)
CLOCK_SKEW = datetime.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        return private_pem(self.key)


def authority() -> Pair:
    """A new certificate authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("whatsapp-operator-development")
    builder = _builder(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_may(sign_certificates=True), critical=True)
    return Pair(builder.sign(key, hashes.SHA256()), key)


def server(issuer: Pair) -> Pair:
    """The API server's certificate, for the loopback address and the names that clients inside a cluster use."""
    names: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    names += [x509.DNSName(name) for name in ("localhost", "kubernetes", "kubernetes.default.svc")]
    return _signed(issuer, _name("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH, names)


def client(issuer: Pair, *, user: str, group: str) -> Pair:
    """A certificate that the API server takes as the given user, member of the given group."""
    return _signed(issuer, _name(user, group), ExtendedKeyUsageOID.CLIENT_AUTH, [])


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def kubeconfig(*, name: str, url: str, issuer: Pair, user: Pair) -> str:
    """A kubeconfig that holds everything itself, so that it can be copied anywhere."""
    return f"""\
apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: {url}
    certificate-authority-data: {_base64(issuer.certificate_pem())}
users:
- name: {name}
  user:
    client-certificate-data: {_base64(user.certificate_pem())}
    client-key-data: {_base64(user.key_pem())}
contexts:
- name: {name}
  context: {{cluster: {name}, user: {name}}}
current-context: {name}
"""


def write(folder: Path) -> tuple[Pair, Pair]:
    """Writes all key files of a control plane to `folder`; returns the authority and the administrator."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    issuer = authority()
    serving = server(issuer)
    tokens = ec.generate_private_key(ec.SECP256R1())
    (folder / "ca.crt").write_bytes(issuer.certificate_pem())
    (folder / "apiserver.crt").write_bytes(serving.certificate_pem())
    (folder / "apiserver.key").write_bytes(serving.key_pem())
    (folder / "tokens.key").write_bytes(private_pem(tokens))
    (folder / "tokens.pub").write_bytes(public_pem(tokens))
    return issuer, client(issuer, user="administrator", group="system:masters")


def _name(user: str, group: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _may(*, sign_certificates: bool) -> x509.KeyUsage:
    """What a key is for. Python 3.13 refuses an authority that does not say so, and a certificate that names no key."""
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(issuer: Pair, subject: x509.Name, usage: x509.ObjectIdentifier, names: list[x509.GeneralName]) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(subject, issuer.certificate.subject, key)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
        .add_extension(_may(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Pair(builder.sign(issuer.key, hashes.SHA256()), key)


def _base64(text: bytes) -> str:
    return base64.b64encode(text).decode()
