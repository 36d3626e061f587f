"""The decorators of every compiled loop, and a vector of 8 numbers that stays in registers.

`nogil` lets a thread pool run ranges side by side, `cache` keeps the machine code on disk. The fast-math flags leave
out `nnan` and `ninf`, so that `isnan` stays right. A loop must not call a loop of another file: numba's cache
would not notice an edit there.

Why the vectors: loops of constant length are unrolled before they can be vectorised, and arrays may overlap as far as
the compiler knows, so plain loops over 8 numbers become scalar code. `load`, `store`, `splat`, `gather`, `transpose`
and `total` say what is meant; + - and * work on vectors and on a vector with a number. With NUMBA_DISABLE_JIT=1
vectors are NumPy arrays of 8.
"""

import operator

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

#: Numbers in a vector: one register of AVX-512, two of AVX2.
LANES = 8

_OPTIONS = {"nogil": True, "cache": True, "error_model": "numpy",
            "fastmath": {"nsz", "arcp", "contract", "afn", "reassoc"}}
loop = numba.njit(**_OPTIONS)
#: For what loops call. Outside its caller it would be compiled in two ways, and which one runs would depend on what
#: came from the cache: the first process on a machine would have other last bits than all later ones.
inlined = numba.njit(forceinline=True, **_OPTIONS)


class _LanesType(types.Type):
    def __init__(self):
        super().__init__(name="Lanes8")


_lanes = _LanesType()
_vector = ir.VectorType(ir.DoubleType(), LANES)


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _vector)


def _pointer(context, builder, signature, arguments):
    array_type, index_type = signature.args[:2]
    array = context.make_array(array_type)(context, builder, arguments[0])
    indices = cgutils.unpack_tuple(builder, arguments[1], count=len(index_type))
    indices = [context.cast(builder, index, kind, types.intp) for index, kind in zip(indices, index_type)]
    return cgutils.get_item_pointer(context, builder, array_type, array, indices)


@intrinsic
def _load(typing_context, array, index):
    """8 neighbours in memory from array[index] on; the last axis must be contiguous."""

    def generate(context, builder, signature, arguments):
        pointer = builder.bitcast(_pointer(context, builder, signature, arguments), _vector.as_pointer())
        return builder.load(pointer, align=8)

    return _lanes(array, index), generate


@intrinsic
def _store(typing_context, array, index, vector):
    """Write 8 neighbours in memory from array[index] on."""

    def generate(context, builder, signature, arguments):
        pointer = builder.bitcast(_pointer(context, builder, signature, arguments), _vector.as_pointer())
        builder.store(arguments[2], pointer, align=8)
        return context.get_dummy_value()

    return types.void(array, index, vector), generate


def _broadcast(builder, number):
    single = builder.insert_element(ir.Constant(_vector, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(single, ir.Constant(_vector, ir.Undefined), zeros)


@intrinsic
def _splat(typing_context, number):
    """The same number 8 times."""

    def generate(context, builder, signature, arguments):
        number = context.cast(builder, arguments[0], signature.args[0], types.float64)
        return _broadcast(builder, number)

    return _lanes(number), generate


@intrinsic
def _gather(typing_context, array, column):
    """array[0, column] ... array[7, column] of a C-contiguous array with two axes."""

    def generate(context, builder, signature, arguments):
        array_type = signature.args[0]
        array = context.make_array(array_type)(context, builder, arguments[0])
        column = context.cast(builder, arguments[1], signature.args[1], types.intp)
        vector = ir.Constant(_vector, ir.Undefined)
        for lane in range(LANES):
            row = context.get_constant(types.intp, lane)
            pointer = cgutils.get_item_pointer(context, builder, array_type, array, [row, column])
            vector = builder.insert_element(vector, builder.load(pointer), ir.Constant(ir.IntType(32), lane))
        return vector

    return _lanes(array, column), generate


@intrinsic
def _transpose(typing_context, a, b, c, d, e, f, g, h):
    """The columns of a matrix given by its 8 rows, by exchanging ever larger blocks."""

    def generate(context, builder, signature, arguments):
        rows, width, lanes = list(arguments), 1, range(LANES)
        while width < LANES:
            for i in lanes:
                if i & width:
                    continue
                pair = rows[i], rows[i + width]
                for target, part in ((i, 0), (i + width, width)):
                    mask = [(lane & ~width | part) + (LANES if lane & width else 0) for lane in lanes]
                    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), mask)
                    rows[target] = builder.shuffle_vector(*pair, mask)
            width *= 2
        return context.make_tuple(builder, signature.return_type, rows)

    return types.UniTuple(_lanes, LANES)(*[_lanes] * LANES), generate


@intrinsic
def _total(typing_context, vector):
    """Sum of the 8 numbers, in a fixed order of halves."""

    def generate(context, builder, signature, arguments):
        vector, width = arguments[0], LANES
        while width > 1:
            width //= 2
            low, high = (ir.Constant(ir.VectorType(ir.IntType(32), width), list(part))
                         for part in (range(width), range(width, 2 * width)))
            vector = builder.fadd(builder.shuffle_vector(vector, vector, low),
                                  builder.shuffle_vector(vector, vector, high))
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    return types.float64(vector), generate


def _arithmetic(operation, instruction):
    def typer(left, right):
        if _lanes in (left, right):
            return _lanes
        return None

    @numba.extending.type_callable(operation)
    def _type(context):
        return typer

    def lower(context, builder, signature, arguments):
        vectors = [value if kind == _lanes
                   else _broadcast(builder, context.cast(builder, value, kind, types.float64))
                   for value, kind in zip(arguments, signature.args)]
        return getattr(builder, instruction)(*vectors)

    for left, right in ((_lanes, _lanes), (_lanes, types.Number), (types.Number, _lanes)):
        numba.extending.lower_builtin(operation, left, right)(lower)


for _operation, _inplace, _instruction in ((operator.add, operator.iadd, "fadd"), (operator.sub, operator.isub, "fsub"),
                                           (operator.mul, operator.imul, "fmul")):
    _arithmetic(_operation, _instruction)
    _arithmetic(_inplace, _instruction)


def _plain_load(array, index):
    return array[index[:-1]][..., index[-1] : index[-1] + LANES].copy()


def _plain_store(array, index, vector):
    array[index[:-1]][..., index[-1] : index[-1] + LANES] = vector


def _plain_transpose(*rows):
    return tuple(np.stack(rows, axis=1))


if numba.config.DISABLE_JIT:
    load, store, transpose, total = _plain_load, _plain_store, _plain_transpose, np.sum
    splat, gather = (lambda number: np.full(LANES, float(number))), (lambda array, column: array[:LANES, column].copy())
else:
    load, store, splat, gather, transpose, total = _load, _store, _splat, _gather, _transpose, _total
