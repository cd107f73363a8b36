"""One instruction that numba has no name for: ask for memory before it is needed."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["prefetch"]

# for reading; kept in all caches; data, not instructions
_READ, _KEEP, _DATA = 0, 3, 1


def _prefetch(_context: Any, array: Any, row: Any, column: Any) -> Any:
    """Bring the cache line of array[row, column] near, and go on without waiting for it."""
    position: Any = cgutils.get_item_pointer

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, (data, *place) = signature.args[0], arguments
        pointer = position(context, builder, kind, context.make_array(kind)(context, builder, data), place)
        pointer = builder.bitcast(pointer, cgutils.voidptr_t)
        number = ir.IntType(32)
        form = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", (cgutils.voidptr_t,), form)
        builder.call(function, [pointer, number(_READ), number(_KEEP), number(_DATA)])
        return context.get_dummy_value()

    return types.void(array, row, column), generate


prefetch: Any = intrinsic(_prefetch)
