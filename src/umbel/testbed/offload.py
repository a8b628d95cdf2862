"""Makes a device of the calling thread's namespace send whole checksums: see ethtool(8), tx off.

A veth leaves checksums to the hardware it does not have. The kernel on the other side knows that;
a switch in user space passes such packets on as they are, and TCP drops them.
"""

import array
import fcntl
import socket
import struct

_SIOCETHTOOL = 0x8946
_ETHTOOL_STXCSUM = 0x17


def tx_checksums_off(device: str) -> None:
    """Raises OSError when there is no such device."""
    value = array.array("B", struct.pack("II", _ETHTOOL_STXCSUM, 0))
    request = struct.pack("16sP", device.encode(), value.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, _SIOCETHTOOL, request)
