"""A command's way to a running platform: its REST API, as the account that the user names.

In: URL and account, from options or the environment. Out: what the API answers; a refusal is an
error with the code and message that the platform gave.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import typer

from umbel.kit.errors import UmbelError, Unavailable

_TIMEOUT_S = 30.0


class PlatformUnreachable(Unavailable):
    """No platform answers at this URL: start it with `umbel serve`, or give another --url."""

    code = "umbel.platform_unreachable"


class RefusedByPlatform(UmbelError):
    """The platform refused the request. A command shows the code and message that it gave."""

    code = "umbel.refused_by_platform"

    def __init__(self, code: str, message: str, details: Mapping[str, object]) -> None:
        super().__init__(message, **details)
        self.code = code  # type: ignore[misc]


@dataclass(frozen=True, kw_only=True)
class Account:
    """Where the platform is, and who asks. A `token` is used as it is; without one the password
    is read from UMBEL_PASSWORD, or asked for."""

    url: str
    user: str = ""
    token: str = ""


Url = Annotated[str, typer.Option(envvar="UMBEL_URL", help="the platform's URL")]
UserName = Annotated[
    str, typer.Option(envvar="UMBEL_USER", help="an operator's name; asked for if left out")
]
Token = Annotated[
    str, typer.Option(envvar="UMBEL_TOKEN", help="an operator's token, instead of a user")
]
LOCAL_URL = "http://127.0.0.1:8000"

_ACCOUNT_HELP = (
    "These options stand before the command. Without a token, the user's password is read from"
    " UMBEL_PASSWORD, or asked for."
)


def operators_app(line: str) -> typer.Typer:
    """Commands of that kind: a client of a running platform, as whom the options say. Each command
    has the Account as its context's `obj`."""
    made = typer.Typer(no_args_is_help=True, add_completion=False)

    @made.callback(help=f"{line}\n\n{_ACCOUNT_HELP}")
    def account(
        context: typer.Context, url: Url = LOCAL_URL, user: UserName = "", token: Token = ""
    ) -> None:
        context.obj = Account(url=url, user=user, token=token)

    return made


@dataclass(frozen=True)
class ApiClient:
    """Asks the API of one platform."""

    http: httpx.Client

    def get(self, path: str) -> Any:
        """What is there. Raises RefusedByPlatform, PlatformUnreachable."""
        return self._ask("GET", path)

    def post(self, path: str, body: object = None, within_s: float = _TIMEOUT_S) -> Any:
        """Do it. Raises RefusedByPlatform, PlatformUnreachable."""
        return self._ask("POST", path, json=body, timeout=within_s)

    def put(self, path: str, body: object, within_s: float = _TIMEOUT_S) -> Any:
        """Set it. Raises RefusedByPlatform, PlatformUnreachable."""
        return self._ask("PUT", path, json=body, timeout=within_s)

    def put_bytes(self, path: str, data: bytes) -> Any:
        """Send bytes. Raises RefusedByPlatform, PlatformUnreachable."""
        kind = {"Content-Type": "application/octet-stream"}
        return self._ask("PUT", path, content=data, headers=kind)

    def delete(self, path: str, within_s: float = _TIMEOUT_S) -> None:
        """Remove it. Raises RefusedByPlatform, PlatformUnreachable."""
        self._ask("DELETE", path, timeout=within_s)

    def sign_in(self, user: str, password: str) -> None:
        """Ask as this user from now on. Raises RefusedByPlatform, PlatformUnreachable."""
        form = {"grant_type": "password", "username": user, "password": password}
        token = self._ask("POST", "/oauth/token", data=form)["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = self.http.request(method, path, **more)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            message = f"no platform answers at {self.http.base_url}: {error}"
            raise PlatformUnreachable(message) from error
        if not answer.is_success:
            raise _refusal(answer)
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise _not_a_platform(answer) from error


@contextmanager
def signed_in(account: Account) -> Iterator[ApiClient]:
    """A client that asks as the account. Raises RefusedByPlatform, PlatformUnreachable."""
    try:
        http = httpx.Client(base_url=account.url, timeout=_TIMEOUT_S)
    except httpx.InvalidURL as error:
        raise PlatformUnreachable(f"{account.url} is no URL: {error}") from error
    with http:
        client = ApiClient(http)
        if account.token:
            http.headers["Authorization"] = f"Bearer {account.token}"
        else:
            given = os.environ.get("UMBEL_PASSWORD")
            user = account.user or typer.prompt("User", err=True)
            password = given or typer.prompt("Password", hide_input=True, err=True)
            client.sign_in(user, password)
        yield client


def _refusal(answer: httpx.Response) -> UmbelError:
    try:
        body = answer.json()
        return RefusedByPlatform(body["code"], body["message"], body["details"])
    except (ValueError, KeyError, TypeError):
        return _not_a_platform(answer)


def _not_a_platform(answer: httpx.Response) -> PlatformUnreachable:
    return PlatformUnreachable(f"{answer.url} answers {answer.status_code}: not a platform")
