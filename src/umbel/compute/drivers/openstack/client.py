"""Speaks to a cloud's services through openstacksdk. Values in and out, errors in our words.

The library blocks, so its calls run on threads of the client's own. No file, variable or program of
this machine is used.
"""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import requests
from keystoneauth1 import exceptions as signing
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from openstack import exceptions
from openstack.connection import Connection

from umbel.compute.clouds.model import CloudDenied, CloudFailed, CloudNode, CloudUnreachable
from umbel.compute.drivers.openstack.transport import LimitedAdapter
from umbel.compute.ports import CannotRun, MachineFull
from umbel.kit.errors import UmbelError

Answer = TypeVar("Answer")

_MOST_TEXT = 400
_THREADS = 4
_MARGIN_S = 5.0
_NOT_UNDERSTOOD = (ValueError, TypeError, AttributeError, LookupError, RuntimeError)


class CloudClient:
    """The services of one cloud, for one of its nodes."""

    def __init__(self, there: CloudNode, within_s: float) -> None:
        self.name = there.name
        self._within_s = within_s
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"cloud:{there.name}")
        self._authority = _authority_file(there.credentials.authority)
        with _in_our_words(there.name):
            self._connection = _connection(there, self._authority, within_s)

    async def call(
        self, work: Callable[[Connection], Answer], within_s: float | None = None
    ) -> Answer:
        """What `work` answers on a thread. Raises CloudUnreachable, CloudDenied, CloudFailed,
        MachineFull, CannotRun."""
        loop = asyncio.get_running_loop()
        with _in_our_words(self.name):
            async with asyncio.timeout((within_s or self._within_s) + _MARGIN_S):
                return await loop.run_in_executor(self._threads, self._guarded, work)

    async def close(self) -> None:
        """Let go of it. A call that hangs ends by its own limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._authority is not None:
            self._authority.unlink(missing_ok=True)

    def _guarded(self, work: Callable[[Connection], Answer]) -> Answer:
        with _in_our_words(self.name):
            return work(self._connection)


def _authority_file(authority: str) -> Path | None:
    """The library takes the authority's certificate as a file alone."""
    if not authority:
        return None
    with tempfile.NamedTemporaryFile("w", prefix="umbel-ca-", suffix=".pem", delete=False) as file:
        file.write(authority)
    return Path(file.name)


def _connection(there: CloudNode, authority: Path | None, within_s: float) -> Connection:
    credentials = there.credentials
    below = requests.Session()
    below.trust_env = False
    for scheme in ("https://", "http://"):
        below.mount(scheme, LimitedAdapter())
    session = Session(
        auth=_sign_in(there),
        session=below,
        verify=str(authority) if authority is not None else True,
        timeout=within_s,
        # Each failure is ours to repeat.
        connect_retries=0,
    )
    return Connection(
        session=session,
        region_name=credentials.region or None,
        interface=credentials.interface,
    )


def _sign_in(there: CloudNode) -> Any:
    credentials = there.credentials
    match credentials.kind:
        case "application-credential":
            return v3.ApplicationCredential(
                auth_url=credentials.url,
                application_credential_id=credentials.id,
                application_credential_secret=credentials.secret,
            )
        case "password":
            return v3.Password(
                auth_url=credentials.url,
                username=credentials.user,
                user_domain_name=credentials.user_domain,
                password=credentials.password,
                project_name=credentials.project,
                project_domain_name=credentials.project_domain,
            )
    message = f"{there.name}: its credentials were sealed by another installation: add it again"
    raise CloudDenied(message, node=there.name)


@contextmanager
def _in_our_words(name: str) -> Iterator[None]:
    try:
        yield
    except UmbelError:
        raise
    except signing.NotFound as error:
        # So says Keystone of an application credential that is gone.
        is_unknown = "Could not find" in str(error.message)
        raise _unknown(name) if is_unknown else _refusal(name, 404, error.message) from error
    except signing.HttpError as error:
        raise _refusal(name, error.http_status or 0, error.message) from error
    except exceptions.HttpException as error:
        raise _refusal(name, error.status_code or 0, error.details or error.message) from error
    except (signing.ConnectionError, requests.RequestException, TimeoutError, OSError) as error:
        reason = _line(error) or "it did not answer in time"
        message = f"The cloud of {name} cannot be reached: {reason}"
        raise CloudUnreachable(message, node=name) from error
    except (signing.ClientException, exceptions.SDKException, *_NOT_UNDERSTOOD) as error:
        message = f"{name}: its cloud said what OpenStack does not: {_line(error)}"
        raise CloudFailed(message, node=name) from error


def _unknown(name: str) -> CloudDenied:
    return CloudDenied(f"{name}: its cloud does not know these credentials", node=name)


def _refusal(name: str, status: int, said: object) -> UmbelError:
    text = _line(said) or f"status {status}"
    message = f"{name}: {text}"
    is_quota = "uota" in text or "No more IP addresses" in text
    match status:
        case 401:
            return _unknown(name)
        case 403 | 409 | 413 if is_quota:
            return MachineFull(message, node=name)
        case 403:
            return CloudDenied(message, node=name)
        case 400:
            return CannotRun(message, node=name)
        case 500 | 502 | 503 | 504 | 0:
            return CloudUnreachable(f"{name}: a service of its cloud is away: {text}", node=name)
    return CloudFailed(message, node=name)


def _line(said: object) -> str:
    return " ".join(str(said or "").split())[:_MOST_TEXT]
