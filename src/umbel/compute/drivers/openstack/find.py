"""Looks things of a cloud up by name or id. It imports the library when it is used."""

from collections.abc import Callable
from typing import Any


def look_up(find: Callable[..., Any], named: str) -> Any:
    """What has this name or id, by one of the library's `find_`; None where nothing has."""
    from openstack.exceptions import NotFoundException  # noqa: PLC0415 -- it may not be there

    try:
        return find(named, ignore_missing=False)
    except NotFoundException:
        return None
