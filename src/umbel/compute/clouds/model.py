"""A node in an OpenStack cloud as a value, and what can be wrong with it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from umbel.kit.errors import Conflict, Invalid, NotFound, Unavailable, Unprocessable

CLOUDS_POOL = "openstack"
"""The pool of a cloud's node that names none."""

MOST_NAME = 255
"""The longest name that OpenStack's services take."""
_ZONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,254}")


class BadCloud(Invalid):
    """This describes no node in an OpenStack cloud."""

    code = "umbel.bad_cloud"


class CloudUnreachable(Unavailable):
    """A service of the OpenStack cloud does not answer."""

    code = "umbel.cloud_unreachable"


class CloudDenied(Unavailable):
    """The OpenStack cloud does not take these credentials, or does not allow them this."""

    code = "umbel.cloud_denied"


class CloudFailed(Unavailable):
    """The OpenStack cloud did not do what it was asked."""

    code = "umbel.cloud_failed"


class CloudNodeUnfit(Unprocessable):
    """The project cannot run functions as it is; `problems` lists all that is wrong."""

    code = "umbel.cloud_node_unfit"


class NoSuchCloudNode(NotFound):
    """No node in an OpenStack cloud has this name."""

    code = "umbel.no_such_cloud_node"


class CloudNodeExists(Conflict):
    """A node in an OpenStack cloud has this name already."""

    code = "umbel.cloud_node_exists"


class CloudNodeInUse(Conflict):
    """Functions run on the cloud's node, or its node is there; drain and remove it first."""

    code = "umbel.cloud_node_in_use"


@dataclass(frozen=True, kw_only=True)
class CloudCredentials:
    """How to sign in at a cloud's Keystone (`url`): by an application credential (`id` and
    `secret`), or by `user` and `password` in a `project`. `authority` signed the servers'
    certificates; empty: one that this machine trusts did. `region` and `interface` choose among
    its services. All but `url` and `region` is secret."""

    url: str
    region: str = ""
    interface: str = "public"
    authority: str = field(default="", repr=False)
    id: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    user: str = field(default="", repr=False)
    user_domain: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    project: str = field(default="", repr=False)
    project_domain: str = field(default="", repr=False)

    @property
    def kind(self) -> str:
        """How one signs in, in a word."""
        if self.secret:
            return "application-credential"
        return "password" if self.password else "nothing"


@dataclass(frozen=True, kw_only=True)
class CloudNode:
    """Where in a cloud functions of a node run: servers of the `flavor` with an address in the
    `network`, in the `zone` or, where the credentials are an administrator's, on the hypervisor
    `machine`; empty: wherever the cloud has room. Viewers reach them at floating addresses of the
    network `external`, where one is named. `name` is its node's here; `address` is kept for the
    node in the network."""

    name: str
    flavor: str
    network: str
    credentials: CloudCredentials = field(repr=False)
    zone: str = ""
    machine: str = ""
    external: str = ""
    address: str = ""
    pool: str = CLOUDS_POOL


@dataclass(frozen=True, kw_only=True)
class CloudFacts:
    """What a cloud says of a project: Nova's newest API version, the address that is kept for the
    node, and what servers may use before the project's quota is reached; memory in MiB."""

    version: str
    address: str
    cores: float
    memory_mb: int


def check(node: CloudNode) -> None:
    """Raise BadCloud, with all that is wrong."""
    if problems := list(_problems(node)):
        raise BadCloud(f"{node.name}: {'; '.join(problems)}", problems=problems)


def _problems(node: CloudNode) -> Iterator[str]:
    for what, text in (("flavor", node.flavor), ("network", node.network)):
        if not text:
            yield f"name its {what}"
    named = {"flavor": node.flavor, "network": node.network, "external network": node.external}
    for what, text in named.items():
        if len(text) > MOST_NAME or not text.isprintable():
            yield f"{text[:80]!r} is no name of a {what}"
    for what, text in (("availability zone", node.zone), ("hypervisor", node.machine)):
        if text and _ZONE.fullmatch(text) is None:
            yield f"{text[:80]!r} is no name of a {what}"
