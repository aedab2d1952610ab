"""C2PA manifests: signed proof of origin, written and read where c2pa-python is installed.

Signing needs a certificate chain and its key as PEM files, named by HOMEGROWN_C2PA_CERTIFICATE and HOMEGROWN_C2PA_KEY.
"""

import importlib.util
import io
import logging
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from serving.errors import UserError
from serving.images.files import MEDIA_TYPES
from serving.images.xmp import GENERATED

if TYPE_CHECKING:
    from c2pa import C2paSignerInfo

    from serving.images.provenance import Origin

GENERATOR = "Homegrown"
# No thumbnail of 30 kB in a picture that small, and never a request to wherever a stranger's picture points.
SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}


@dataclass(frozen=True)
class Manifest:
    """What a picture's manifest says. `state` is "Valid", "Trusted" (its signer is on the trust list) or "Invalid"."""

    generator: str
    signer: str
    state: str
    generated: bool

    @property
    def ours(self) -> bool:
        """Whether it is an unbroken manifest that this program wrote."""
        return self.generator == GENERATOR and self.state != "Invalid"


def installed() -> bool:
    """Whether manifests can be read and written at all."""
    return importlib.util.find_spec("c2pa") is not None


def signed(data: bytes, format: str, origin: "Origin") -> bytes:
    """The picture file `data` with a manifest; unchanged where no certificate is set up or the package is missing.

    Raises `UserError` when the certificate or the key cannot be used.
    """
    named = _certificate_and_key()
    if named is None:
        return data
    if not installed():
        _warn_of_missing_package()
        return data
    import c2pa

    result = io.BytesIO()
    try:
        with (
            c2pa.Signer.from_info(_signer_info(*named)) as signer,
            c2pa.Builder(_definition(origin), c2pa.Context.from_dict(SETTINGS)) as builder,
        ):
            builder.sign(signer, MEDIA_TYPES[format], io.BytesIO(data), result)
    except c2pa.C2paError as error:
        raise UserError(
            f"The C2PA certificate {named[0]} or its key cannot be used ({error}): mend or unset it."
        ) from None
    return result.getvalue()


def read_manifest(data: bytes) -> Manifest | None:
    """The manifest in the picture file `data`; None when it has none, or none that can be read."""
    import c2pa

    try:
        reader = c2pa.Reader.try_create(io.BytesIO(data), context=c2pa.Context.from_dict(SETTINGS))
        if reader is None:
            return None
        with reader:
            return _manifest(reader.get_active_manifest(), reader.get_validation_state())
    # A stranger's manifest may lack anything.
    except (c2pa.C2paError, LookupError, TypeError, AttributeError, ValueError):
        return None


def _manifest(active: dict, state: str) -> Manifest:
    actions = [
        action
        for assertion in active["assertions"]
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"]["actions"]
    ]
    return Manifest(
        generator=active["claim_generator_info"][0]["name"],
        signer=active["signature_info"].get("common_name") or active["signature_info"]["issuer"],
        state=state,
        generated=any(action.get("digitalSourceType") == GENERATED for action in actions),
    )


def _certificate_and_key() -> tuple[Path, Path] | None:
    certificate, key = (os.environ.get(f"HOMEGROWN_C2PA_{name}") for name in ("CERTIFICATE", "KEY"))
    if not certificate and not key:
        return None
    if not certificate or not key:
        raise UserError("C2PA needs a certificate and its key: set HOMEGROWN_C2PA_CERTIFICATE and HOMEGROWN_C2PA_KEY.")
    return Path(certificate), Path(key)


def _signer_info(certificate: Path, key: Path) -> "C2paSignerInfo":
    import c2pa

    try:
        private = key.read_bytes()
        return c2pa.C2paSignerInfo(_algorithm(private), certificate.read_bytes(), private, None)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"The C2PA key cannot be used ({error}): name PEM files without a password.") from None


def _algorithm(private: bytes) -> str:
    """C2PA's name for what the key in PEM signs with."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(private, password=None)
    if isinstance(key, EllipticCurvePrivateKey):
        return {256: "es256", 384: "es384"}.get(key.key_size, "es512")
    return "ps256" if isinstance(key, RSAPrivateKey) else "ed25519"


def _definition(origin: "Origin") -> dict:
    created = {
        "action": "c2pa.created",
        "when": origin.created,
        "digitalSourceType": GENERATED,
        "softwareAgent": {"name": origin.model, "version": origin.model_sha256},
    }
    return {
        "claim_generator_info": [{"name": GENERATOR, "version": origin.software.split()[-1]}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
    }


@cache
def _warn_of_missing_package() -> None:
    logging.getLogger(__name__).warning(
        "HOMEGROWN_C2PA_CERTIFICATE is set, but pictures stay unsigned: pip install 'homegrown[c2pa]'"
    )
