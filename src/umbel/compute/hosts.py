"""Host names as nodes' addresses: resolved once, where a network document comes in.

In: a document as it was written. Out: the same with IP addresses. A name that does not resolve
stays, and is then a problem of the document to `inventory`, which is pure.
"""

from collections.abc import Mapping

from umbel.kit import hosts
from umbel.kit.hosts import HostNotFound


def resolve_document(document: object) -> object:
    """The document with the host names of its nodes resolved. Blocks."""
    if not isinstance(document, Mapping) or not isinstance(document.get("nodes"), list):
        return document
    return {**document, "nodes": [_resolved(node) for node in document["nodes"]]}


def _resolved(node: object) -> object:
    address = node.get("address") if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping) or not isinstance(address, str) or not hosts.is_name(address):
        return node
    try:
        return {**node, "address": hosts.resolve(address)}
    except HostNotFound:
        return node
