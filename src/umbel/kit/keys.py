"""What is stored and sent of a stream key: its digest, never the key. Text in, text out."""

import hashlib


def digest(key: str) -> str:
    """SHA-256 of a stream key as 64 hexadecimal digits."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
