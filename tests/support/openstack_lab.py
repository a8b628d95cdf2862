"""Starts an OpenStack cloud: stores, databases, who is who, and a network.

    with cloud(folder) as running:
        running.url, running.admin

The databases are filled once, by the services' own programs, and kept: a later lab begins with
them.
"""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from support import openstack_config as config
from support.kube_api import ip
from support.leftovers import Leftover, noted
from support.openstack_cloud import CONFIGURED, FILES, LAN, PLUGIN, PORTS, PROJECT, OpenStackCloud
from support.openstack_machine import Machine, machine
from umbel.compute.drivers.openstack.find import look_up
from umbel.kit import private

KEPT = FILES / "stores"
"""What the stores had once they were filled: a lab begins with it."""
FLAVORS = {
    "small": (1, 256, 1),
    "media": (2, 512, 1),
    "tiny": (1, 64, 1),
    "huge": (512, 256, 1),
}
"""Cores, MiB and GB of disk."""
_DATABASES = ("keystone", "glance", "placement", "neutron", "nova_api", "nova", "nova_cell0")
_KINDS = {"glance": "image", "placement": "placement", "neutron": "network", "nova": "compute"}
_PATHS = {"nova": "/v2.1"}
_RABBIT = {"RABBITMQ_NODENAME": "lab@localhost", "HOME": "/var/lib/rabbitmq"}
_SQL_FOLDER = "/var/lib/lab-sql"
_KEPT_FOLDERS = (
    *("var/lib/lab-sql", "var/lib/rabbitmq"),
    *("etc/keystone/fernet-keys", "etc/keystone/credential-keys"),
)
_ADDRESSES = (("keystone.endpoint", "url"), ("nova_api.cell_mappings", "transport_url"))
"""Where in the stores the address of the services is."""


@contextmanager
def cloud(folder: Path) -> Iterator[OpenStackCloud]:
    """A cloud without hypervisors."""
    device = f"uo{secrets.token_hex(3)}"
    with ExitStack() as stack:
        stack.enter_context(noted(Leftover(folder=str(folder))))
        folder.mkdir(parents=True)
        network = _unused_network()
        stack.enter_context(noted(Leftover(device=device)))
        ip("link", "add", device, "type", "bridge")
        stack.callback(Leftover(device=device).remove)
        ip("address", "add", f"{network}.1/24", "dev", device)
        ip("link", "set", device, "up")
        control = stack.enter_context(
            machine("control", f"{network}.2", folder, [*_kept(), FILES / "root"], device)
        )
        made = OpenStackCloud(
            control=control, folder=folder, bridge=device, network=network, password=_password()
        )
        for path, text in config.control(control.address, made.password).items():
            control.write(path, text)
        _run_stores(made)
        if (KEPT / "address").exists():
            _move(made)
            for service in PORTS:
                made.begin(service)
        else:
            _fill(made)
        for service in PORTS:
            control.until(partial(made.answers, service), service)
        for program in ("nova-conductor", "nova-scheduler"):
            control.run(program, program, "--config-file", "/etc/nova/nova.conf")
        _lay(made)
        yield made


@contextmanager
def more_address(made: OpenStackCloud) -> Iterator[str]:
    """One more address of the root namespace in the cloud's network."""
    address = f"{made.network}.200"
    ip("address", "add", f"{address}/24", "dev", made.bridge)
    try:
        yield address
    finally:
        ip("address", "del", f"{address}/24", "dev", made.bridge)


def _lay(made: OpenStackCloud) -> None:
    """Flavours, and a network of all projects, which is the one that the machines are in."""
    for name, (cores, memory_mb, disk_gb) in FLAVORS.items():
        if look_up(made.admin.compute.find_flavor, name) is None:
            made.admin.compute.create_flavor(name=name, vcpus=cores, ram=memory_mb, disk=disk_gb)
    there, network = made.admin.network, made.network
    lan = there.create_network(
        name=LAN,
        provider_network_type="flat",
        provider_physical_network=LAN,
        is_shared=True,
    )
    there.create_subnet(
        name=LAN,
        network_id=lan.id,
        ip_version=4,
        cidr=f"{network}.0/24",
        gateway_ip=f"{network}.1",
        is_dhcp_enabled=False,
        allocation_pools=[{"start": f"{network}.50", "end": f"{network}.150"}],
    )


def _password() -> str:
    """The administrator's, of every lab on this machine: nobody else reaches one."""
    file = FILES / "password"
    if not file.exists():
        private.write(file, secrets.token_urlsafe(24).encode())
    return file.read_text()


def _kept() -> list[Path]:
    """The layer with what the stores had once they were filled."""
    return [KEPT / "layer"] if (KEPT / "address").exists() else []


def _run_stores(made: OpenStackCloud) -> None:
    """MariaDB and RabbitMQ."""
    control = made.control
    control.call("mkdir", "-p", "/run/mysqld", _SQL_FOLDER, "/run/rabbitmq")
    if not (control.root / _SQL_FOLDER.removeprefix("/") / "mysql").exists():
        words = ("--user=root", "--auth-root-authentication-method=normal")
        control.call("mariadb-install-db", f"--datadir={_SQL_FOLDER}", *words)
    control.run(
        "mariadb",
        "mariadbd",
        *("--no-defaults", "--user=root", f"--datadir={_SQL_FOLDER}", "--skip-networking"),
        *("--socket=/run/mysqld/mysqld.sock", "--max-connections=500"),
        *("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--sync-binlog=0"),
        *("--character-set-server=utf8mb3", "--collation-server=utf8mb3_general_ci"),
    )
    control.run("rabbitmq", "/usr/lib/rabbitmq/bin/rabbitmq-server", **_RABBIT)
    control.until(lambda: _succeeds(control, "mariadb-admin", "ping"), "mariadb")
    control.until(lambda: _succeeds(control, *_rabbit("await_startup")), "rabbitmq")


def _rabbit(*words: str) -> tuple[str, ...]:
    environment = [f"{name}={value}" for name, value in _RABBIT.items()]
    return ("env", *environment, "/usr/lib/rabbitmq/bin/rabbitmqctl", *words)


def _succeeds(there: Machine, *words: str) -> bool:
    try:
        there.call(*words)
    except AssertionError:
        return False
    return True


def _fill(made: OpenStackCloud) -> None:
    """Make the tables, as the services' own programs do, and who is who; and keep all that."""
    control, url = made.control, f"{made.url}/"
    create = "".join(f"create database {name};" for name in _DATABASES)
    control.call("mariadb", "-e", create)
    control.call(*_rabbit("add_user", "lab", made.password))
    control.call(*_rabbit("set_permissions", "lab", ".*", ".*", ".*"))
    control.call("keystone-manage", "db_sync")
    for one in ("fernet_setup", "credential_setup"):
        control.call("keystone-manage", one, "--keystone-user", "root", "--keystone-group", "root")
    control.call(
        *("keystone-manage", "bootstrap", "--bootstrap-password", made.password),
        *("--bootstrap-region-id", config.REGION, "--bootstrap-admin-url", url),
        *("--bootstrap-internal-url", url, "--bootstrap-public-url", url),
    )
    control.call("glance-manage", "db_sync")
    control.call("placement-manage", "db", "sync")
    control.call("neutron-db-manage", *CONFIGURED, *PLUGIN, "upgrade", "heads")
    control.call("nova-manage", "api_db", "sync")
    control.call("nova-manage", "cell_v2", "map_cell0")
    control.call("nova-manage", "cell_v2", "create_cell", "--name", "cell1")
    control.call("nova-manage", "db", "sync")
    made.start("keystone")
    _register(made)
    del made.admin  # it knows the services that there were when it signed in
    for service in PORTS.keys() - {"keystone"}:
        made.start(service)
    _prepare(made)
    _keep(made)


def _register(made: OpenStackCloud) -> None:
    """Where each service is."""
    identity = made.admin.identity
    for name, kind in _KINDS.items():
        service = identity.create_service(name=name, type=kind)
        for interface in ("public", "internal", "admin"):
            identity.create_endpoint(
                service_id=service.id,
                interface=interface,
                region_id=config.REGION,
                url=f"http://{made.control.address}:{PORTS[name]}{_PATHS.get(name, '')}",
            )


def _prepare(made: OpenStackCloud) -> None:
    """A project with a user for the platform."""
    there = made.admin
    project = there.identity.create_project(name=PROJECT, domain_id="default")
    user = there.identity.create_user(
        name=PROJECT, password=made.password, domain_id="default", default_project_id=project.id
    )
    role = look_up(there.identity.find_role, "member")
    there.identity.assign_project_role_to_user(project, user, role)


def _keep(made: OpenStackCloud) -> None:
    """Have the next lab begin with what the stores have now."""
    control = made.control
    for service in PORTS:
        made.stop(service)
    control.call("mariadb-admin", "shutdown")
    control.processes.pop("mariadb").wait()
    control.call(*_rabbit("stop"))
    control.processes.pop("rabbitmq").wait()
    shutil.rmtree(KEPT, ignore_errors=True)
    for path in _KEPT_FOLDERS:
        shutil.copytree(control.root / path, KEPT / "layer" / path, symlinks=True)
    (KEPT / "address").write_text(control.address)
    _run_stores(made)
    for service in PORTS:
        made.begin(service)


def _move(made: OpenStackCloud) -> None:
    """The services are at other addresses than when the stores were filled."""
    then, now = (KEPT / "address").read_text(), made.control.address
    changes = [
        f"update {table} set {column} = replace({column}, '{then}', '{now}');"
        for table, column in _ADDRESSES
    ]
    made.control.call("mariadb", "-e", "".join(changes))


def _unused_network() -> str:
    """The first three numbers of a network that no device has an address in."""
    used = ip("-o", "-4", "address", "show")
    while f" {(network := f'10.221.{secrets.randbelow(256)}')}." in used:
        pass
    return network
