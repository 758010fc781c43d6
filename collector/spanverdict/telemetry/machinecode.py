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
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from spanverdict.telemetry.compiling import Routine, Taken
from spanverdict.telemetry.linking import link

Code: TypeAlias = dict[str, tuple[str, bytes]]
"""By routine the symbol where its code begins, and an object file."""

_CALLS: Final = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_char_p)
"""How machine code is called; the interpreter lock is let go meanwhile."""
_DIGEST_BYTES: Final = 32
_NAME: Final = "routines-{}.code"
MOST_KEPT: Final = 4
"""In one place: an upgrade leaves what nobody needs any more, and machines of several kinds may share one."""
_OWNS_NOTHING: Final = MappingProxyType({"_nrt": False})
"""Arrays are not counted as they are passed on, a fifth of the time: all of them are held by whoever calls."""
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
    about = (*map(_version, ("numba", "llvmlite")), platform.python_version(), _processor())
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
        call = _called(function, _unpacking(routine))
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


def _called(function: Callable[..., int], unpacked: Callable[[Any], Any]) -> Callable[[Any], int]:
    def call(frame: Any) -> int:
        return function(*unpacked(frame))

    return call


def _unpacking(routine: Routine) -> Callable[[Any], Any]:
    """Return what, in compiled code, makes the tuples that a routine takes of addresses and lengths."""
    types, extending = import_module("numba").types, import_module("numba.extending")
    arrays = [[_array_type(taken) for taken in takes] for takes in routine.takes]
    tuples = [types.NamedTuple(items, kind) for items, kind in zip(arrays, routine.kinds, strict=True)]
    every = types.Tuple(tuples)

    @extending.intrinsic  # type: ignore[untyped-decorator] # imported late
    def unpacked(_context: Any, frame: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, args: Sequence[Any]) -> Any:
            words = _words(builder, args[0])
            built = [
                context.make_tuple(
                    builder,
                    kind,
                    [_array(context, builder, item, taken, words) for item, taken in zip(*both, strict=True)],
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


def _words(builder: Any, frame: Any) -> Iterator[Any]:
    """Yield what stands in a frame, one after the other."""
    ir = import_module("llvmlite.ir")
    place = 0
    while True:
        yield builder.load(builder.gep(frame, [ir.Constant(ir.IntType(64), place)]))
        place += 1


def _array(context: Any, builder: Any, kind: Any, taken: Taken, words: Iterator[Any]) -> Any:
    """Make an array of the address and lengths that come next."""
    ir, arrays = import_module("llvmlite.ir"), import_module("numba.np.arrayobj")
    whole = ir.IntType(64)
    array = arrays.make_array(kind)(context, builder)
    data = builder.inttoptr(next(words), array.data.type)
    shape = [next(words) for _ in range(taken.n_dimensions)]
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
