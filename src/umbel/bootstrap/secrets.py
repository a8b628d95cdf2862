"""What only the control plane knows: made at the first start, kept in the data directory."""

import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from umbel.kit import private, tokens


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """What only the control plane knows. Files of mode 0600 in the data directory."""

    signer: tokens.Signer
    public_key_file: Path
    master: bytes

    def of_function(self, function_id: str) -> str:
        """What opens a function's control channel: derived, so that it survives a restart."""
        return hmac.new(self.master, function_id.encode(), sha256).hexdigest()


def load_secrets(folder: Path) -> Secrets:
    """The keys of this installation, made at the first start."""
    private.ensure_folder(folder)
    signer = tokens.Signer(_kept(folder / "signing.pem", tokens.new_private_key))
    public = folder / "public.pem"
    if not public.exists() or public.read_bytes() != signer.public_key:
        private.write(public, signer.public_key)
    master = _kept(folder / "master.key", lambda: os.urandom(32))
    return Secrets(signer=signer, public_key_file=public.resolve(), master=master)


def _kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """The file's bytes; made by the first when several instances start at once."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(made := make())
    return made
