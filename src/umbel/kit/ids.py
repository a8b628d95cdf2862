"""Names for new things: a readable prefix and 60 random bits, safe in URLs and file names."""

import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str) -> str:
    """A fresh identifier such as `ev_5x0k3b9q2m7t`."""
    return f"{prefix}_{''.join(secrets.choice(_ALPHABET) for _ in range(12))}"
