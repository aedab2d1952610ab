"""C2PA manifests: signed, read back, and broken when the picture changes. Needs the extra `c2pa` for most of it."""

import datetime
import importlib.util
import io
from pathlib import Path

import pytest
from PIL import Image

from serving.errors import UserError
from serving.images.provenance import Origin, finished, read_origin

FORMATS = ("png", "jpeg", "webp")
ORIGIN = Origin("a red boat", "images", "ab" * 32, 7, "2026-11-21T19:00:00Z", (48, 48))
SMALL = Image.effect_noise((96, 64), 40).convert("RGB")
USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def certificate(folder: Path, kind: str = "EC") -> tuple[Path, Path]:
    """A certificate of a day, signed by an authority that is thrown away; its chain and its key as PEM files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.datetime.now(datetime.UTC)
    authority = ec.generate_private_key(ec.SECP256R1())
    holder = {
        "EC": lambda: ec.generate_private_key(ec.SECP256R1()),
        "EC 384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "RSA": lambda: rsa.generate_private_key(65537, 2048),
        "Ed25519": ed25519.Ed25519PrivateKey.generate,
    }[kind]()

    def name(common: str) -> x509.Name:
        return x509.Name([
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Homegrown tests"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ])  # fmt: skip

    def unsigned(subject: str, key: PrivateKeyTypes, allowed: set[str]) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(name("the authority"), name(subject), key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.KeyUsage(**{usage: usage in allowed for usage in USAGES}), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
            .add_extension(x509.BasicConstraints(ca=subject == "the authority", path_length=None), critical=True)
        )

    leaf = unsigned("the holder", holder, {"digital_signature"}).add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
    )
    root = unsigned("the authority", authority, {"key_cert_sign", "crl_sign"})
    pem = serialization.Encoding.PEM
    chain = [signed.sign(authority, hashes.SHA256()).public_bytes(pem) for signed in (leaf, root)]
    (folder / "chain.pem").write_bytes(b"".join(chain))
    (folder / "key.pem").write_bytes(
        holder.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "chain.pem", folder / "key.pem"


@pytest.fixture
def signing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate set up for signing, in the folder that is returned."""
    chain, key = certificate(tmp_path)
    monkeypatch.setenv("HOMEGROWN_C2PA_CERTIFICATE", str(chain))
    monkeypatch.setenv("HOMEGROWN_C2PA_KEY", str(key))
    return tmp_path


@pytest.mark.parametrize("format", FORMATS)
def test_a_manifest_is_signed_and_breaks_with_the_picture(format: str, signing: Path) -> None:
    pytest.importorskip("c2pa")
    from serving.images.c2pa import Manifest, read_manifest

    data = finished(SMALL, ORIGIN, format)
    assert read_origin(data) == ORIGIN
    manifest = read_manifest(data)
    assert manifest == Manifest("Homegrown", "the holder", "Valid", generated=True)
    assert manifest.ours
    # Somewhere in the pixels.
    place = data.index(b"IDAT") + 400 if format == "png" else len(data) // 2
    changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    assert read_manifest(changed).state == "Invalid"
    assert not read_manifest(changed).ours
    file = io.BytesIO()
    SMALL.save(file, format)
    assert read_manifest(file.getvalue()) is None
    assert read_manifest(b"nothing") is None


@pytest.mark.parametrize("kind", ["EC 384", "RSA", "Ed25519"])
def test_keys_of_every_kind(kind: str, signing: Path) -> None:
    pytest.importorskip("c2pa")
    from serving.images.c2pa import read_manifest

    certificate(signing, kind)
    assert read_manifest(finished(SMALL, ORIGIN, "png")).ours


def test_certificates_that_cannot_be_used(signing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("c2pa")
    (signing / "key.pem").write_text("no key")
    with pytest.raises(UserError, match="C2PA"):
        finished(SMALL, ORIGIN, "png")
    monkeypatch.setenv("HOMEGROWN_C2PA_KEY", str(signing / "missing.pem"))
    with pytest.raises(UserError, match="No such file"):
        finished(SMALL, ORIGIN, "png")
    monkeypatch.delenv("HOMEGROWN_C2PA_KEY")
    with pytest.raises(UserError, match="HOMEGROWN_C2PA_KEY"):
        finished(SMALL, ORIGIN, "png")


@pytest.mark.skipif(importlib.util.find_spec("c2pa") is not None, reason="c2pa-python is installed")
def test_without_the_package_pictures_stay_unsigned(signing: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_origin(finished(SMALL, ORIGIN, "png")) == ORIGIN
    assert "homegrown[c2pa]" in caplog.text
