"""Machine code of routines: made by numba, kept as it is, and loaded without numba.

To load it takes some milliseconds and next to no memory. Numba takes half a second and 130 MB to come up even where it
has compiled everything before, and its LLVM alone 55 MB; so they are only imported to compile, which takes some
seconds, once for each version and processor.
"""

from __future__ import annotations

import ctypes
import hashlib
import marshal
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from itertools import chain, count, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np

from spanverdict.telemetry.compiling import REFUSED, Routine, Taken
from spanverdict.telemetry.linking import link

Code: TypeAlias = dict[str, tuple[str, bytes]]
"""By routine the symbol where its code begins, and an object file."""

_CALLS: Final = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.py_object)
"""How machine code is called: with a tuple; the interpreter lock is let go meanwhile."""
_HEAD: Final = object.__basicsize__ // 8
"""Words that an object begins with, of which the last is its type. How many a tuple holds follows, or an array's …"""
_ITEMS: Final = tuple.__basicsize__ // 8
"""… and here are they themselves."""
_DATA, _N_DIMENSIONS, _SHAPE, _FLAGS = _HEAD, _HEAD + 1, _HEAD + 2, _HEAD + 6
"""… address, and the words after it (numpy's `PyArrayObject_fields`, which compiled extensions rely on, too)."""
_NEEDED: Final = 0x401
"""Flags of arrays that are contiguous and can be written."""
_DIGEST_BYTES: Final = 32
_NAME: Final = "routines-{}.code"
MOST_KEPT: Final = 4
"""In one place: an upgrade leaves what nobody needs any more, and machines of several kinds may share one."""
_OWNS_NOTHING: Final = MappingProxyType({"_nrt": False})
"""Arrays are not counted as they are passed on, a seventh of the time: all of them are held by whoever calls."""
_SAID: Final = frozenset(
    {
        "vendor_id", "cpu family", "model", "model name", "stepping", "flags",
        "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features",
    }
)  # fmt: skip
"""Of a processor, of either kind; its clock and the like change."""


def load(routines: Sequence[Routine], code: Code) -> None:
    """Let routines run as machine code from now on; raises `CannotLink` or `OSError`, and changes nothing then."""
    found = [link(object_file, symbol) for symbol, object_file in map(code.__getitem__, (one.name for one in routines))]
    for routine, linked in zip(routines, found, strict=True):
        run: Any = _CALLS(linked.address)
        run.linked = linked  # it holds the code
        routine.machine = run


def kept(routines: Sequence[Routine]) -> Code | None:
    """Return the machine code that was kept of these very routines, for this very machine."""
    for path in _paths(routines):
        try:
            digest, data = _split(path.read_bytes())
        except OSError:
            continue
        if hashlib.sha256(data).digest() == digest:
            code: Code = marshal.loads(data)  # noqa: S302 - written by us, beside what we run or where the user keeps things
            return code
    return None


def keep(routines: Sequence[Routine], code: Code) -> None:
    """Keep machine code for the next time, where there is a place that can be written to."""
    data = marshal.dumps(code)
    for path in _paths(routines):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(f".{os.getpid()}")
            unfinished.write_bytes(hashlib.sha256(data).digest() + data)
            unfinished.replace(path)
        except OSError:
            continue
        _let_go(path)
        return


def _let_go(newest: Path) -> None:
    """Delete what was kept of other sources or for other machines, but for the last few of it."""
    with suppress(OSError):  # somebody else may be doing the same
        others = [path for path in newest.parent.glob(_NAME.format("*")) if path != newest]
        for path in sorted(others, key=lambda path: path.stat().st_mtime)[: 1 - MOST_KEPT]:
            path.unlink()


def _split(data: bytes) -> tuple[bytes, bytes]:
    return data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]


def _paths(routines: Sequence[Routine]) -> Iterator[Path]:
    """Yield where machine code may be kept: beside the source, or in the user's cache."""
    name = _NAME.format(_told_apart(routines))
    yield Path(__file__).with_name("__pycache__") / name
    with suppress(RuntimeError):  # some users have no home
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        yield Path(cache) / "spanverdict" / name


def _told_apart(routines: Sequence[Routine]) -> str:
    """Return what is different wherever the machine code may be."""
    rooms = {Path(routine.function.__code__.co_filename).parent for routine in routines} | {Path(__file__).parent}
    found = hashlib.sha256()
    for source in sorted(source for room in rooms for source in room.glob("*.py")):  # constants come from all over
        found.update(source.read_bytes())
    about = (*map(_version, ("numba", "llvmlite")), platform.python_version(), np.__version__, _processor())
    found.update(repr(about).encode())
    return found.hexdigest()[:24]


def _processor() -> list[str]:
    """Return what is said of the first processor that does not change: what it is, and what it can do."""
    first = Path("/proc/cpuinfo").read_text(errors="replace").partition("\n\n")[0].splitlines()
    return [line for line in first if line.partition(":")[0].strip() in _SAID]


def _version(package: str) -> str:
    """Return what tells versions of a package apart, without importing it, or all that reads what was installed."""
    places = getattr(find_spec(package), "submodule_search_locations", None) or [package]
    try:
        return (Path(places[0]) / "_version.py").read_text()
    except OSError:
        return import_module("importlib.metadata").version(package)  # type: ignore[no-any-return]


def made(routines: Sequence[Routine]) -> Code:
    """Compile routines."""
    numba, extending = import_module("numba"), import_module("numba.extending")
    for function in _parts(routines):
        extending.register_jitable(forceinline=True, **_OWNS_NOTHING)(function)
    code: Code = {}
    for routine in routines:
        function = numba.njit(error_model="numpy", **_OWNS_NOTHING)(routine.function)
        call = _called(function, _unpacking(routine), _checking(routine))
        frame = numba.types.CPointer(numba.int64)
        compiled = numba.cfunc(numba.int64(frame), nopython=True, **_OWNS_NOTHING)(call)
        code[routine.name] = compiled.native_name, bytes(compiled._library._get_compiled_object())  # noqa: SLF001
    return code


def _parts(routines: Sequence[Routine]) -> list[Callable[..., Any]]:
    """Return the functions that routines call, those that these call included."""
    found: dict[Callable[..., Any], None] = {}
    waiting: list[Callable[..., Any]] = [routine.function for routine in routines]
    while waiting:
        function = waiting.pop()
        for name in function.__code__.co_names:
            other = function.__globals__.get(name)
            if other is not None and getattr(other, "of_routines", False) and other not in found:
                found[other] = None
                waiting.append(other)
    return [*found]


def _called(
    function: Callable[..., int], unpacked: Callable[[Any], Any], unlike: Callable[[Any], int]
) -> Callable[[Any], int]:
    def call(frame: Any) -> int:
        return REFUSED if unlike(frame) else function(*unpacked(frame))

    return call


def _unpacking(routine: Routine) -> Callable[[Any], Any]:
    """Return what, in compiled code, makes the tuples that a routine takes of a tuple of arrays."""
    types, extending = import_module("numba").types, import_module("numba.extending")
    arrays = [[_array_type(taken) for taken in takes] for takes in routine.takes]
    tuples = [types.NamedTuple(items, kind) for items, kind in zip(arrays, routine.kinds, strict=True)]
    every = types.Tuple(tuples)

    @extending.intrinsic  # type: ignore[untyped-decorator] # imported late
    def unpacked(_context: Any, frame: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, args: Sequence[Any]) -> Any:
            objects = _objects(builder, args[0])
            built = [
                context.make_tuple(
                    builder,
                    kind,
                    [_array(context, builder, item, taken, next(objects)) for item, taken in zip(*both, strict=True)],
                )
                for kind, *both in zip(tuples, arrays, routine.takes, strict=True)
            ]
            return context.make_tuple(builder, every, built)

        return every(frame), generate

    return unpacked  # type: ignore[no-any-return]


def _array_type(taken: Taken) -> Any:
    numba = import_module("numba")
    layout = "A" if taken.everywhere else "C"
    return numba.types.Array(numba.from_dtype(taken.dtype), taken.n_dimensions, layout, aligned=not taken.everywhere)


def _checking(routine: Routine) -> Callable[[Any], int]:
    """Return what, in compiled code, is not zero for a tuple of other things than a routine takes."""
    types, extending = import_module("numba").types, import_module("numba.extending")
    whole = import_module("llvmlite.ir").IntType(64)
    takes = [*chain.from_iterable(routine.takes)]

    @extending.intrinsic  # type: ignore[untyped-decorator] # imported late
    def unlike(_context: Any, frame: Any) -> Any:
        def generate(_: Any, builder: Any, _signature: Any, args: Sequence[Any]) -> Any:
            answer = builder.alloca(whole)
            missing = builder.xor(_word(builder, args[0], _HEAD), whole(len(takes) + 1))
            builder.store(missing, answer)
            with builder.if_then(builder.icmp_unsigned("==", missing, whole(0))):  # else there may be nothing to read
                objects = islice(_objects(builder, args[0]), len(takes) + 1)
                builder.store(_differences(builder, takes, *objects), answer)
            return builder.load(answer)

        return types.int64(frame), generate

    return unlike  # type: ignore[no-any-return]


def _differences(builder: Any, takes: Sequence[Taken], *objects: Any) -> Any:
    """Return a number that is zero if objects, the last one aside, are arrays like those that are taken."""
    ir = import_module("llvmlite.ir")
    whole, half = ir.IntType(64), ir.IntType(32)
    *given, an_array = objects
    found, kind = whole(0), _word(builder, an_array, _HEAD - 1)
    for item, taken in zip(given, takes, strict=True):
        n_dimensions, flags = (builder.trunc(_word(builder, item, place), half) for place in (_N_DIMENSIONS, _FLAGS))
        lacking = builder.and_(builder.not_(flags), half(_NEEDED))
        wrong = builder.or_(builder.xor(n_dimensions, half(taken.n_dimensions)), lacking)
        found = builder.or_(found, builder.zext(wrong, whole))
        found = builder.or_(found, builder.xor(_word(builder, item, _HEAD - 1), kind))
    return found


def _word(builder: Any, thing: Any, place: int) -> Any:
    """Return a word of what stands at an address."""
    ir = import_module("llvmlite.ir")
    return builder.load(builder.gep(thing, [ir.Constant(ir.IntType(64), place)]))


def _at(builder: Any, word: Any) -> Any:
    """Return a word as an address of words."""
    return builder.inttoptr(word, import_module("llvmlite.ir").IntType(64).as_pointer())


def _objects(builder: Any, frame: Any) -> Iterator[Any]:
    """Yield what is in a tuple, one after the other."""
    for place in count(_ITEMS):
        yield _at(builder, _word(builder, frame, place))


def _array(context: Any, builder: Any, kind: Any, taken: Taken, given: Any) -> Any:
    """Make an array as compiled code knows it of one as the interpreter does."""
    ir, arrays = import_module("llvmlite.ir"), import_module("numba.np.arrayobj")
    whole = ir.IntType(64)
    array = arrays.make_array(kind)(context, builder)
    data = builder.inttoptr(_word(builder, given, _DATA), array.data.type)
    lengths = _at(builder, _word(builder, given, _SHAPE))
    shape = [_word(builder, lengths, place) for place in range(taken.n_dimensions)]
    size = ir.Constant(whole, taken.dtype.itemsize)
    if taken.everywhere:
        shape = [builder.sub(shape[0], ir.Constant(whole, taken.dtype.itemsize - 1))]
        strides = [ir.Constant(whole, 1)]
    else:
        strides = [size]
        for length in reversed(shape[1:]):
            strides.insert(0, builder.mul(strides[0], length))
    arrays.populate_array(array, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)
    return array._getvalue()  # noqa: SLF001 - numba has no other word for it
