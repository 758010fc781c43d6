"""The time as HTTP writes it."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Final

_DAYS: Final = "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"
_MONTHS: Final = "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"


@lru_cache(maxsize=1)
def date(second: int) -> bytes:
    """Write a time in seconds since the epoch (RFC 9110, 5.6.7), whatever language the process speaks.

    >>> date(784111777)
    b'Sun, 06 Nov 1994 08:49:37 GMT'
    """
    then = time.gmtime(second)
    day, month = _DAYS[then.tm_wday], _MONTHS[then.tm_mon - 1]
    return time.strftime(f"{day}, %d {month} %Y %H:%M:%S GMT", then).encode()
