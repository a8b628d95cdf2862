"""Push services in memory, for scenarios and tests.

What they took is in `taken`, in order; `answer` scripts an endpoint. Messages are encrypted and
thrown away, so that keys which are wrong fail here, too.
"""

import os

from cryptography.hazmat.primitives.asymmetric import ec

from umbel.kit import push_encryption
from umbel.kit.push_encryption import BadPushMessage
from umbel.notify.model import Push
from umbel.notify.ports import PushGone, PushRefused, PushUnavailable


class FakePusher:
    """Takes every message unless told otherwise."""

    def __init__(self) -> None:
        self.taken: list[Push] = []
        self._answers: dict[str, Exception] = {}

    def answer(self, endpoint: str, error: Exception | None) -> None:
        """Raise this for messages to the endpoint, or take them again."""
        self._answers.pop(endpoint, None)
        if error is not None:
            self._answers[endpoint] = error

    def gone(self, endpoint: str) -> None:
        """Have no such endpoint."""
        self.answer(endpoint, PushGone())

    def fail(self, endpoint: str, retry_after_s: int = 0) -> None:
        """Do not take messages now."""
        self.answer(endpoint, PushUnavailable("scripted", retry_after_s))

    async def send(self, push: Push) -> None:
        if push.endpoint in self._answers:
            raise self._answers[push.endpoint]
        try:
            keys = push_encryption.parse_keys(push.p256dh, push.auth)
            key = ec.generate_private_key(push_encryption.CURVE)
            push_encryption.encrypt(
                push.payload, keys, salt=os.urandom(push_encryption.SALT_BYTES), key=key
            )
        except BadPushMessage as error:
            raise PushRefused(error.message) from error
        self.taken.append(push)

    async def close(self) -> None: ...
