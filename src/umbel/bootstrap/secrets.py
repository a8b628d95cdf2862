"""What only the control plane knows: made at the first start, kept in the data directory."""

import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from umbel.kit import derived_keys, private, tokens
from umbel.kit.errors import Invalid
from umbel.kit.sealing import Sealer

_MASTER_BYTES = 32


class BadKeyFile(Invalid):
    """A key file of this installation holds no key: restore it from your backup, or remove it to
    have a new key made, which ends every sign-in and stops functions that run."""

    code = "umbel.bad_key_file"


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """What only the control plane knows. Files of mode 0600 in the data directory."""

    signer: tokens.Signer
    public_key_file: Path
    master: bytes

    @property
    def installation(self) -> str:
        """What tells this installation from others; no secret. A restored one has it again."""
        return hmac.new(self.master, b"id of the installation", sha256).hexdigest()[:16]

    def sealer(self, purpose: str) -> Sealer:
        """What seals texts for one purpose; texts of others do not open with it."""
        return Sealer(self.master, purpose)

    def of_function(self, function_id: str) -> str:
        """What opens a function's control channel: derived, so that it survives a restart."""
        return hmac.new(self.master, function_id.encode(), sha256).hexdigest()

    def push_key(self) -> EllipticCurvePrivateKey:
        """What signs pushes to browsers, which subscribe to this very key: derived, too."""
        return derived_keys.p256(self.master, b"umbel web push 1")

    def playout_key(self, event_id: str) -> str:
        """The stream key with which the platform itself streams a file to an event: derived, so
        that no file holds it and each instance has it."""
        secret = hmac.new(self.master, f"playout key of {event_id}".encode(), sha256)
        return f"{event_id}.{secret.hexdigest()}"

    def srtp_key(self, event_id: str) -> bytes:
        """What protects the packets of an event's streams between functions: derived, too."""
        return hmac.new(self.master, f"srtp key of {event_id}".encode(), sha256).digest()


def load_secrets(folder: Path) -> Secrets:
    """The keys of this installation, made at the first start. Raises BadKeyFile, OSError."""
    private.ensure_folder(folder)
    signing, master_file = folder / "signing.pem", folder / "master.key"
    try:
        signer = tokens.Signer(_kept(signing, tokens.new_private_key))
    except ValueError as error:
        raise BadKeyFile(f"{signing} holds no Ed25519 key", file=str(signing)) from error
    public = folder / "public.pem"
    if not public.exists() or public.read_bytes() != signer.public_key:
        private.write(public, signer.public_key)
    master = _kept(master_file, lambda: os.urandom(_MASTER_BYTES))
    if len(master) != _MASTER_BYTES:
        raise BadKeyFile(f"{master_file} holds no key of 32 bytes", file=str(master_file))
    return Secrets(signer=signer, public_key_file=public.resolve(), master=master)


def _kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """The file's bytes; made by the first when several instances start at once."""
    if not path.exists():
        private.write_once(path, make())
    return path.read_bytes()
