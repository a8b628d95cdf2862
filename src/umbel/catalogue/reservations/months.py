"""The months of a calendar in a time zone, with its changes of the clock. Pure."""

import re
from datetime import datetime

from umbel.catalogue.reservations.model import BadMonth
from umbel.kit import time_zones

_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_FIRST_YEAR, _LAST_YEAR = 1970, 2199


def bounds(month: str, time_zone: str) -> tuple[float, float]:
    """When the month (`2027-03`) begins and ends in the zone (IANA: `Europe/Rome`), in epoch
    seconds. Raises BadMonth."""
    found = _MONTH.fullmatch(month)
    if found is None or not _FIRST_YEAR <= int(found[1]) <= _LAST_YEAR:
        raise BadMonth(f"month: as in 2027-03, from {_FIRST_YEAR} to {_LAST_YEAR}")
    zone = time_zones.find(time_zone)
    if zone is None:
        raise BadMonth("time_zone: an IANA name such as Europe/Rome")
    year, number = int(found[1]), int(found[2])
    begin = datetime(year, number, 1, tzinfo=zone)
    end = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=zone)
    return begin.timestamp(), end.timestamp()
