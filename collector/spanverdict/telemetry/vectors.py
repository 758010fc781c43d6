"""What the columns of a table are, by the type of their numbers."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Bools: TypeAlias = npt.NDArray[np.bool_]
Int8s: TypeAlias = npt.NDArray[np.int8]
Int32s: TypeAlias = npt.NDArray[np.int32]
Int64s: TypeAlias = npt.NDArray[np.int64]
UInt32s: TypeAlias = npt.NDArray[np.uint32]
UInt64s: TypeAlias = npt.NDArray[np.uint64]
Rows: TypeAlias = npt.NDArray[np.intp]
Ints: TypeAlias = npt.NDArray[np.signedinteger[Any]]
"""Of any size."""


def constant(number: Any, count: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return a column that holds one number everywhere; it takes no memory and cannot be written to.

    >>> constant(7, 3, np.int32)
    array([7, 7, 7], dtype=int32)
    """
    one = np.array(number, dtype)
    found: npt.NDArray[Any] = np.ndarray((count,), one.dtype, one, strides=(0,))  # a tenth of what `broadcast_to` takes
    found.flags.writeable = False
    return found


def widened(column: Ints) -> Int64s:
    """Return a column as int64; a constant one stays one.

    >>> widened(constant(7, 3, np.int32)).strides
    (0,)
    """
    return (
        constant(column[0], len(column), np.int64) if is_constant(column) and len(column) else column.astype(np.int64)
    )


def is_constant(column: npt.NDArray[Any]) -> bool:
    """Tell whether a column is one that `constant` makes."""
    return column.strides == (0,)
