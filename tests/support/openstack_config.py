"""What the services of an OpenStack lab are configured with: texts, by their paths."""

from collections.abc import Iterator, Mapping

from umbel.testbed.hypervisor import QEMU_CONF

REGION = "RegionOne"
ADMIN = "admin"
_LOCAL_DATABASE = "mysql+pymysql://root@localhost/{}?unix_socket=/run/mysqld/mysqld.sock"

Sections = Mapping[str, Mapping[str, object]]


def ini(sections: Sections) -> str:
    """The text of a configuration."""
    return "".join(_section(name, values) for name, values in sections.items())


def _section(name: str, values: Mapping[str, object]) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {value}" for key, value in values.items()), "", ""])


def control(address: str, password: str) -> dict[str, str]:
    """Of the machine with all services but those of hypervisors."""
    return dict(_control(address, password))


def _control(address: str, password: str) -> Iterator[tuple[str, str]]:
    signed_in = _signed_in(address, password)
    common = {"DEFAULT": {"transport_url": _queue(address, password), "debug": False}}
    yield (
        "/etc/keystone/keystone.conf",
        ini(
            {
                "database": {"connection": _LOCAL_DATABASE.format("keystone")},
                "token": {"provider": "fernet", "expiration": 3600},
                "fernet_tokens": {"key_repository": "/etc/keystone/fernet-keys"},
                "credential": {"key_repository": "/etc/keystone/credential-keys"},
            }
        ),
    )
    yield (
        "/etc/glance/glance-api.conf",
        ini(
            {
                "DEFAULT": {"bind_host": address, "workers": 0, "use_keystone_limits": False},
                "database": {"connection": _LOCAL_DATABASE.format("glance")},
                "keystone_authtoken": signed_in,
                "paste_deploy": {"flavor": "keystone"},
                "glance_store": {
                    "stores": "file",
                    "default_store": "file",
                    "filesystem_store_datadir": "/var/lib/glance/images",
                },
            }
        ),
    )
    yield (
        "/etc/placement/placement.conf",
        ini(
            {
                "placement_database": {"connection": _LOCAL_DATABASE.format("placement")},
                "api": {"auth_strategy": "keystone"},
                "keystone_authtoken": signed_in,
            }
        ),
    )
    yield (
        "/etc/neutron/neutron.conf",
        ini(
            {
                "DEFAULT": {
                    **common["DEFAULT"],
                    "bind_host": address,
                    "core_plugin": "ml2",
                    "service_plugins": "router",
                    "auth_strategy": "keystone",
                    "api_workers": 1,
                    "rpc_workers": 1,
                    "rpc_state_report_workers": 0,
                    "notify_nova_on_port_status_changes": True,
                    "notify_nova_on_port_data_changes": True,
                    "agent_down_time": 75,
                },
                "database": {"connection": _LOCAL_DATABASE.format("neutron")},
                "keystone_authtoken": signed_in,
                "nova": {**signed_in, "region_name": REGION},
                "experimental": {"linuxbridge": True},
                **_agent(),
            }
        ),
    )
    yield (
        "/etc/neutron/plugins/ml2/ml2_conf.ini",
        ini(
            {
                "ml2": {
                    "type_drivers": "flat,vxlan",
                    "tenant_network_types": "vxlan",
                    "mechanism_drivers": "linuxbridge",
                    "extension_drivers": "port_security",
                },
                "ml2_type_flat": {"flat_networks": "lan"},
                "ml2_type_vxlan": {"vni_ranges": "1:1000"},
            }
        ),
    )
    databases = {
        "api_database": {"connection": _LOCAL_DATABASE.format("nova_api")},
        "database": {"connection": _LOCAL_DATABASE.format("nova")},
    }
    yield ("/etc/nova/nova.conf", _nova(address, address, password) + ini(databases))
    yield ("/etc/rabbitmq/rabbitmq.conf", _rabbit(address))


def hypervisor(control_at: str, address: str, password: str) -> dict[str, str]:
    """Of a machine with nova-compute and the agent of its guests' network."""
    return {
        "/etc/nova/nova.conf": _nova(control_at, address, password),
        "/etc/neutron/neutron.conf": ini(
            {
                "DEFAULT": {"transport_url": _queue(control_at, password), "core_plugin": "ml2"},
                **_agent(),
            }
        ),
        "/etc/neutron/linuxbridge_agent.ini": agent(address),
        "/etc/libvirt/qemu.conf": QEMU_CONF,
        "/etc/libvirt/libvirtd.conf": (
            'auth_unix_rw = "none"\nunix_sock_rw_perms = "0700"\n'
            'listen_tls = 0\nlisten_tcp = 1\nauth_tcp = "none"\n'
            f'listen_addr = "{address}"\n'
        ),
    }


def agent(address: str) -> str:
    """Of the agent that connects guests to networks."""
    return ini(
        {
            "linux_bridge": {"physical_interface_mappings": "lan:lan0"},
            "vxlan": {"enable_vxlan": True, "local_ip": address, "l2_population": False},
            "securitygroup": {"firewall_driver": "iptables", "enable_ipset": True},
            "agent": {"polling_interval": 1, "extensions": ""},
        }
    )


def _agent() -> Sections:
    """Its helpers are started as they are: the agents are root in their namespaces."""
    start = "privsep-helper --config-file /etc/neutron/neutron.conf"
    parts = ("", "_conntrack", "_dhcp_release", "_link", "_namespace", "_ovs_vsctl")
    return {
        "agent": {"root_helper": "", "report_interval": 5},
        "oslo_concurrency": {"lock_path": "/run/lock/neutron"},
        **{f"privsep{part}": {"helper_command": start} for part in parts},
    }


def _nova(control_at: str, address: str, password: str) -> str:
    start = "privsep-helper --config-file /etc/nova/nova.conf"
    signed_in = _signed_in(control_at, password)
    return ini(
        {
            "DEFAULT": {
                "transport_url": _queue(control_at, password),
                "my_ip": address,
                "state_path": "/var/lib/nova",
                "enabled_apis": "osapi_compute",
                "osapi_compute_listen": control_at,
                "osapi_compute_workers": 1,
                "metadata_workers": 1,
                "compute_driver": "libvirt.LibvirtDriver",
                "force_config_drive": True,
                "report_interval": 3,
                "service_down_time": 20,
                "shutdown_timeout": 5,
                "reserved_host_memory_mb": 0,
                "reserved_host_disk_mb": 0,
                "cpu_allocation_ratio": 16,
                "ram_allocation_ratio": 4,
                "disk_allocation_ratio": 16,
                "resume_guests_state_on_host_boot": False,
                "sync_power_state_interval": 5,
                "max_concurrent_builds": 4,
            },
            "api": {"auth_strategy": "keystone"},
            "keystone_authtoken": signed_in,
            "service_user": {**signed_in, "send_service_user_token": False},
            "placement": {**signed_in, "region_name": REGION},
            "neutron": {**signed_in, "region_name": REGION},
            "glance": {"api_servers": f"http://{control_at}:9292"},
            "cinder": {"os_region_name": REGION},
            "conductor": {"workers": 1},
            "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": 2},
            # Else servers that no hypervisor has room for are refused by it.
            "quota": {"cores": 2000},
            "oslo_concurrency": {"lock_path": "/run/lock/nova"},
            "vnc": {"enabled": False},
            "spice": {"enabled": False},
            # Consoles are then written to files, and read of them.
            "serial_console": {
                "enabled": True,
                "proxyclient_address": address,
                "port_range": "10000:10999",
            },
            "libvirt": {
                "virt_type": "qemu",
                "cpu_mode": "none",
                "num_pcie_ports": 8,
                "images_type": "qcow2",
                "live_migration_uri": "qemu+tcp://%s/system",
                "live_migration_inbound_addr": address,
                "swtpm_enabled": False,
            },
            "key_manager": {"backend": ""},
            "nova_sys_admin": {"helper_command": start},
            "vif_plug_linux_bridge_privileged": {"helper_command": start},
            "privsep_osbrick": {"helper_command": start},
            "os_vif_ovs": {},
        }
    )


def _queue(address: str, password: str) -> str:
    return f"rabbit://lab:{password}@{address}:5672/"


def _signed_in(address: str, password: str) -> dict[str, object]:
    return {
        "www_authenticate_uri": f"http://{address}:5000",
        "auth_url": f"http://{address}:5000",
        "auth_type": "password",
        "project_domain_name": "Default",
        "user_domain_name": "Default",
        "project_name": ADMIN,
        "username": ADMIN,
        "password": password,
    }


def _rabbit(address: str) -> str:
    return f"listeners.tcp.default = {address}:5672\nvm_memory_high_watermark.absolute = 1GB\n"
