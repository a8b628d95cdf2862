"""Secrets at rest that must be read again, so that a hash will not do: AES-256-GCM.

The key is derived by HKDF (RFC 5869) from the installation's master key, for one purpose; a sealed
secret opens only with the name it was sealed for.
"""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from umbel.kit.errors import Conflict

_NONCE_BYTES = 12


class SecretSealed(Conflict):
    """The secret cannot be read: it was sealed under another master key. Register it again."""

    code = "umbel.secret_sealed"


class Sealer:
    """Seals and opens texts for one purpose, such as "umbel subscribers' secrets 1"."""

    def __init__(self, master: bytes, purpose: str) -> None:
        info = purpose.encode()
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(master)
        self._cipher = AESGCM(key)

    def seal(self, text: str, name: str) -> str:
        """The text, unreadable but by `open` with the same name."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, text.encode(), name.encode())
        return base64.b64encode(nonce + sealed).decode()

    def open(self, sealed: str, name: str) -> str:
        """The text again. Raises SecretSealed."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            nonce, rest = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
            return self._cipher.decrypt(nonce, rest, name.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise SecretSealed(name=name) from error
