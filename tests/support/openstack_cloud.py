"""A real OpenStack for tests: Debian's Keystone, Glance, Placement, Neutron and Nova over MariaDB
and RabbitMQ, on a machine of its own, with hypervisors next to it.

`make test-clouds` installs the programs. Neighbours: openstack_lab.py, which starts it;
openstack_hypervisor.py.
"""

import json
import os
import secrets
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support import openstack_config as config
from support.kube_api import ROOT
from support.openstack_machine import Machine
from umbel.compute.drivers.openstack.find import look_up
from umbel.compute.drivers.openstack.servers import parse

if TYPE_CHECKING:
    from openstack.connection import Connection

FILES = ROOT / "build" / "clouds" / "openstack"
"""Debian's files, as scripts/openstack installs them."""
LAN = "lan"
"""The network of its servers."""
_RESERVED = "reserved"
PROJECT = "umbel"
"""The project that the platform has, and its user there."""
PORTS = {"keystone": 5000, "glance": 9292, "placement": 8778, "neutron": 9696, "nova": 8774}
PLUGIN = ("--config-file", "/etc/neutron/plugins/ml2/ml2_conf.ini")
CONFIGURED = ("--config-file", "/etc/neutron/neutron.conf")


def absent() -> str:
    """Why no OpenStack can run here; empty when one can."""
    if os.geteuid() != 0:
        return "not root: a cloud's machines cannot be made"
    missing = [tool for tool in ("ip", "nsenter", "unshare") if shutil.which(tool) is None]
    missing += [] if (FILES / ".built").exists() else ["OpenStack"]
    missing += [] if find_spec("openstack") else ["openstacksdk"]
    return f"not there: {', '.join(missing)} (make test-clouds)" if missing else ""


ABSENT = absent()


@dataclass(kw_only=True)
class OpenStackCloud:
    """A cloud. `stop` a service, and `start` it again: it has the same state and address."""

    control: Machine
    folder: Path
    bridge: str
    network: str
    password: str
    machines: list[Machine] = field(default_factory=list)

    @property
    def host_address(self) -> str:
        """The root namespace's address in the cloud's network."""
        return f"{self.network}.1"

    @property
    def url(self) -> str:
        """Keystone's."""
        return self._url("keystone") + "/v3"

    def begin(self, service: str) -> None:
        """Run a service."""
        _START[service](self)

    def start(self, service: str) -> None:
        """Run a service until it answers."""
        self.begin(service)
        self.control.until(lambda: self.answers(service), service)

    def stop(self, service: str) -> None:
        """As kill -9."""
        self.control.end(service)

    def connect(self, **auth: str) -> "Connection":
        """A connection for the tests' own calls; as administrator, or as who is named."""
        signed_in = {
            "auth_url": self.url,
            "username": config.ADMIN,
            "password": self.password,
            "project_name": config.ADMIN,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }
        from openstack.connection import Connection  # noqa: PLC0415 -- it may not be installed

        return Connection(
            auth=signed_in | auth,
            region_name=config.REGION,
        )

    @cached_property
    def user(self) -> "Connection":
        """A connection of the platform's own user."""
        return self.connect(username=PROJECT, project_name=PROJECT)

    def clouds_file(self, **changes: str) -> str:
        """A clouds.yaml that signs in by an application credential of the platform's user; or as
        who is named."""
        auth = {"auth_url": self.url, **(changes or self._credential)}
        return json.dumps({"clouds": {"lab": {"region_name": config.REGION, "auth": auth}}})

    @cached_property
    def _credential(self) -> dict[str, str]:
        there = self.user
        made = there.identity.create_application_credential(
            there.current_user_id, secrets.token_hex(4)
        )
        return {
            "application_credential_id": made.id,
            "application_credential_secret": made.secret,
        }

    def servers(self, function_id: str = "") -> list[Any]:
        """The servers of the platform's project; or those of a function."""
        found = list(self.user.compute.servers(details=True))
        records = ((one, parse(one.metadata)) for one in found)
        return [one for one, had in records if not function_id or (had and had.id == function_id)]

    def left(self) -> list[str]:
        """What of functions is in the platform's project; what was reserved is not, until it is
        used."""
        there = self.user
        ports = [one for one in there.network.ports() if one.description != _RESERVED]
        found = [*self.servers(), *ports, *there.network.ips()]
        return [f"{type(one).__name__} {one.name or one.id}" for one in found]

    def reserve(self, name: str, address: str) -> None:
        """A port of the platform's project with that address, as an administrator makes one."""
        lan = look_up(self.admin.network.find_network, LAN)
        project = look_up(self.admin.identity.find_project, PROJECT)
        self.admin.network.create_port(
            name=name,
            network_id=lan.id,
            project_id=project.id,
            fixed_ips=[{"ip_address": address}],
            description=_RESERVED,
        )

    def release(self) -> None:
        """Remove what was reserved and not used, and the security groups of nodes, as these go."""
        for group in self.user.network.security_groups():
            if group.name.startswith("umbel-"):
                self.user.network.delete_security_group(group.id)
        for port in self.user.network.ports(description=_RESERVED):
            self.user.network.delete_port(port.id)

    def revoke_tokens(self) -> None:
        """All that the platform's user signed in with."""
        there, user = self.admin.identity, self.user.current_user_id
        for is_enabled in (False, True):
            there.update_user(user, is_enabled=is_enabled)

    @contextmanager
    def quota(self, **amounts: int) -> Iterator[None]:
        """The platform's project has these quotas for a while."""
        project = look_up(self.admin.identity.find_project, PROJECT)
        self.admin.compute.update_quota_set(project.id, **amounts)
        try:
            yield
        finally:
            self.admin.compute.revert_quota_set(project.id)

    def knows(self, hypervisor: str) -> bool:
        """Whether its servers can be started, and connected, on the hypervisor of that name."""
        there = self.admin
        computes = {one.name for one in there.compute.hypervisors()}
        agents = {one.host for one in there.network.agents() if one.is_alive}
        return hypervisor in computes & agents

    @cached_property
    def admin(self) -> "Connection":
        """A connection of the administrator."""
        return self.connect()

    def _url(self, service: str) -> str:
        return f"http://{self.control.address}:{PORTS[service]}"

    def answers(self, service: str) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(self._url(service), timeout=10):
                return True
        except urllib.error.HTTPError as error:
            return error.code < 500
        except OSError:
            return False

    def wsgi(self, service: str, program: str, port: int) -> None:
        """Run a service that is a WSGI application."""
        self.control.run(
            service,
            "uwsgi",
            *("--plugin", "python3", "--http-socket", f"{self.control.address}:{port}"),
            *("--wsgi-file", program, "--processes", "1", "--threads", "8", "--enable-threads"),
            *("--thunder-lock", "--die-on-term", "--need-app", "--master", "--lazy-apps"),
            # It ends each connection, and clients must know.
            *("--buffer-size", "65535", "--add-header", "Connection: close"),
        )


def _start_keystone(cloud: OpenStackCloud) -> None:
    cloud.wsgi("keystone", "/usr/bin/keystone-wsgi-public", 5000)


def _start_glance(cloud: OpenStackCloud) -> None:
    cloud.control.run("glance", "glance-api", "--config-file", "/etc/glance/glance-api.conf")


def _start_placement(cloud: OpenStackCloud) -> None:
    cloud.wsgi("placement", "/usr/bin/placement-api", 8778)


def _start_neutron(cloud: OpenStackCloud) -> None:
    cloud.control.run("neutron", "neutron-server", *CONFIGURED, *PLUGIN)


def _start_nova(cloud: OpenStackCloud) -> None:
    # Not by uWSGI: answers of hypervisors go to one of its threads, and others wait for them.
    cloud.control.run("nova", "nova-api", "--config-file", "/etc/nova/nova.conf")


_START = {
    "keystone": _start_keystone,
    "glance": _start_glance,
    "placement": _start_placement,
    "neutron": _start_neutron,
    "nova": _start_nova,
}
