"""The key derivation of SRTP (RFC 3711 section 4.3). Pure."""

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR


def derived(master_key: bytes, master_salt: bytes, label: int, size: int) -> bytes:
    """A session key or salt of so many bytes (RFC 7714 section 11 for the shorter salt)."""
    block = bytearray(master_salt.ljust(16, b"\0"))
    block[7] ^= label
    return Cipher(AES(master_key), CTR(bytes(block))).encryptor().update(bytes(size))
