"""Guests' network filters on a hypervisor. Functions on a connection's thread."""

from xml.etree import ElementTree as ET

import libvirt

from umbel.compute.drivers.libvirt import domains, filter_xml
from umbel.compute.drivers.libvirt.guest import domain_name
from umbel.compute.hypervisors.model import NoSuchGuest

_ALL = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG


def define(connection: "libvirt.virConnect", xml: str) -> None:
    """Have the filter; guests that have it are filtered like this from now on."""
    connection.nwfilterDefineXML(xml)


def connect(connection: "libvirt.virConnect", function_id: str) -> None:
    """Have the running guest's device use its filter, which is there."""
    _set(connection, function_id, domain_name(function_id))


def disconnect(connection: "libvirt.virConnect", function_id: str) -> None:
    """Have the running guest's device use no filter, and forget that."""
    _set(connection, function_id, "")
    forget(connection, function_id)


def forget(connection: "libvirt.virConnect", function_id: str) -> None:
    """There is no filter of the function; not an error if there was none."""
    found = _find(connection, function_id)
    if found is not None:
        found.undefine()


def of(connection: "libvirt.virConnect", function_id: str) -> str:
    """The filter that the guest's device uses; empty where it uses none."""
    domain = domains.find(connection, function_id)
    found = _find(connection, function_id)
    if domain is None or found is None or not filter_xml.filter_of(domain.XMLDesc()):
        return ""
    return str(found.XMLDesc())


def _set(connection: "libvirt.virConnect", function_id: str, name: str) -> None:
    domain = domains.find(connection, function_id)
    device: ET.Element | None = None
    if domain is not None and domain.isActive():
        device = filter_xml.interface(domain.XMLDesc())
    if domain is None or device is None:
        raise NoSuchGuest(f"No guest runs {function_id}", function=function_id)
    if filter_xml.filter_of(domain.XMLDesc()) != name:
        domain.updateDeviceFlags(filter_xml.with_filter(device, name), _ALL)


def _find(connection: "libvirt.virConnect", function_id: str) -> "libvirt.virNWFilter | None":
    try:
        return connection.nwfilterLookupByName(domain_name(function_id))
    except libvirt.libvirtError as error:
        if error.get_error_code() not in {
            libvirt.VIR_ERR_NO_NWFILTER,
            libvirt.VIR_ERR_NO_SUPPORT,  # a hypervisor without such a driver has none
        }:
            raise
        return None
