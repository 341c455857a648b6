"""One side of an exchange of tables with another client: writes random values of every type, or reads a table, and prints what each cell is.

    python exchange.py write|read ENDPOINT BUCKET SCHEMA TABLE

Printed is JSON: for each column its name, its type and its cells in a form that loses nothing: integers, decimals (unscaled), dates,
times and timestamps (in their unit) as text of an integer, floats as the bytes of a binary64, binary as hexadecimal, structs as lists in
the order of their members, maps as lists of pairs.
"""

import json
import random
import struct
import sys

import ibis.expr.datatypes as dt
import ibis.formats.pyarrow
import pyarrow as pa
import vastdb

# The SDK asks Ibis whether it knows a type before anything is sent, and Ibis does not know this one; what writes and reads it does.
for width in (2, 3):
    ibis.formats.pyarrow._from_pyarrow_types[pa.binary(width)] = dt.Binary

MODE, ENDPOINT, BUCKET, SCHEMA, TABLE = sys.argv[1:6]
ROWS = 400
PAIR = pa.struct([('x', pa.int16()), ('y', pa.utf8())])
TYPES = {
    'bool': pa.bool_(),
    'int8': pa.int8(),
    'int16': pa.int16(),
    'int32': pa.int32(),
    'int64': pa.int64(),
    'uint8': pa.uint8(),
    'uint16': pa.uint16(),
    'uint32': pa.uint32(),
    'uint64': pa.uint64(),
    'half': pa.float16(),
    'float': pa.float32(),
    'double': pa.float64(),
    'decimal': pa.decimal128(38, 3),
    'decimal_small': pa.decimal128(5, 0),
    'utf8': pa.utf8(),
    'binary': pa.binary(),
    'fixed': pa.binary(3),
    'date': pa.date32(),
    'time_s': pa.time32('s'),
    'time_ms': pa.time32('ms'),
    'time_us': pa.time64('us'),
    'time_ns': pa.time64('ns'),
    'ts_s': pa.timestamp('s'),
    'ts_ms': pa.timestamp('ms'),
    'ts_us': pa.timestamp('us'),
    'ts_ns': pa.timestamp('ns'),
    'ts_zoned': pa.timestamp('ns', tz='Europe/Berlin'),
    'list': pa.list_(pa.utf8()),
    'lists': pa.list_(pa.list_(pa.int64())),
    'vector': pa.list_(pa.field('item', pa.float32(), nullable=False), 3),
    'struct': PAIR,
    'deep': pa.struct([('p', PAIR), ('q', pa.list_(PAIR)), ('t', pa.timestamp('ns'))]),
    'structs': pa.list_(PAIR),
    'map': pa.map_(pa.utf8(), pa.list_(pa.int32())),
    'map_of_times': pa.map_(pa.int64(), pa.timestamp('us')),
}
DAY = {'s': 86_400, 'ms': 86_400_000, 'us': 86_400_000_000, 'ns': 86_400_000_000_000}
TEXTS = ['', 'a', 'ünï', '𝄞', '\x00', 'x' * 300, '"\\\n', 'é']


def integers(rng, low, high):
    return rng.choice([low, high, 0, rng.randint(low, high), max(low, min(high, rng.randint(-300, 300)))])


def cells(rng, kind, count, nullable=True):
    """A random array of a type, built from its raw values, so that nothing between here and the wire can round them."""
    holes = [nullable and rng.random() < 0.15 for _ in range(count)]

    def plain(make):
        return pa.array([None if hole else make() for hole in holes], type=kind)

    def raw(storage, low, high):
        return pa.array([None if hole else integers(rng, low, high) for hole in holes], type=storage).view(kind)

    def children(sizes):
        offsets = [0]
        for size in sizes:
            offsets.append(offsets[-1] + size)
        return offsets

    mask = pa.array(holes, type=pa.bool_())
    if pa.types.is_boolean(kind):
        return plain(lambda: rng.random() < 0.5)
    if pa.types.is_integer(kind):
        bits, signed = kind.bit_width, pa.types.is_signed_integer(kind)
        return plain(lambda: integers(rng, -2 ** (bits - 1) if signed else 0, 2 ** (bits - 1) - 1 if signed else 2**bits - 1))
    if pa.types.is_floating(kind):
        width = kind.bit_width // 8
        code = {2: 'e', 4: 'f', 8: 'd'}[width]
        bits = pa.array([None if hole else rng.getrandbits(kind.bit_width) for hole in holes], type={2: pa.uint16(), 4: pa.uint32(), 8: pa.uint64()}[width])
        values = [None if b is None or struct.unpack(code, b.to_bytes(width, 'little'))[0] != struct.unpack(code, b.to_bytes(width, 'little'))[0] else b for b in bits.to_pylist()]
        return pa.array(values, type=bits.type).view(kind)
    if pa.types.is_decimal(kind):
        top = 10**kind.precision - 1
        values = [None if hole else integers(rng, -top, top) for hole in holes]
        body = b''.join((value or 0).to_bytes(16, 'little', signed=True) for value in values)
        valid = bytes(sum((not holes[at + bit]) << bit for bit in range(8) if at + bit < count) for at in range(0, count, 8))
        return pa.Array.from_buffers(kind, count, [pa.py_buffer(valid), pa.py_buffer(body)])
    if pa.types.is_string(kind):
        return plain(lambda: rng.choice(TEXTS))
    if pa.types.is_fixed_size_binary(kind):
        return plain(lambda: rng.randbytes(kind.byte_width))
    if pa.types.is_binary(kind):
        return plain(lambda: rng.randbytes(rng.choice([0, 1, 2, 40])))
    if pa.types.is_date32(kind):
        return raw(pa.int32(), -719_162, 2_932_896)
    if pa.types.is_time32(kind):
        return raw(pa.int32(), 0, DAY[kind.unit] - 1)
    if pa.types.is_time64(kind):
        return raw(pa.int64(), 0, DAY[kind.unit] - 1)
    if pa.types.is_timestamp(kind):
        return raw(pa.int64(), -(2**62), 2**62)
    if pa.types.is_map(kind):
        offsets = children(0 if hole else rng.randint(0, 3) for hole in holes)
        keys, items = cells(rng, kind.key_type, offsets[-1], nullable=False), cells(rng, kind.item_type, offsets[-1])
        return pa.MapArray.from_arrays(pa.array([None if hole else at for hole, at in zip(holes + [False], offsets)], type=pa.int32()), keys, items, type=kind)
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(cells(rng, kind.value_type, count * kind.list_size, kind.value_field.nullable), type=kind, mask=mask)
    if pa.types.is_list(kind):
        offsets = children(0 if hole else rng.randint(0, 3) for hole in holes)
        return pa.ListArray.from_arrays(pa.array(offsets, type=pa.int32()), cells(rng, kind.value_type, offsets[-1]), type=kind, mask=mask)
    if pa.types.is_struct(kind):
        return pa.StructArray.from_arrays([cells(rng, field.type, count) for field in kind], fields=list(kind), mask=mask)
    raise AssertionError(f'no values for {kind}')


def told(scalar):
    """A cell as JSON."""
    kind = scalar.type
    if not scalar.is_valid:
        return None
    if pa.types.is_boolean(kind) or pa.types.is_string(kind):
        return scalar.as_py()
    if pa.types.is_integer(kind):
        return str(scalar.as_py())
    if pa.types.is_floating(kind):
        return struct.pack('>d', float(scalar.as_py())).hex()
    if pa.types.is_decimal(kind):
        sign, digits, exponent = scalar.as_py().as_tuple()
        unscaled = int(''.join(map(str, digits))) * 10 ** (exponent + kind.scale)
        return str(-unscaled if sign else unscaled)
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return scalar.as_py().hex()
    if pa.types.is_temporal(kind):
        return str(scalar.value)
    if pa.types.is_map(kind):
        return [[told(entry['key']), told(entry['value'])] for entry in scalar.values]
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return [told(item) for item in scalar.values]
    if pa.types.is_struct(kind):
        return [told(scalar[index]) for index in range(kind.num_fields)]
    raise AssertionError(f'no text for {kind}')


def tell(data):
    columns = [
        {'name': field.name, 'type': str(field.type), 'cells': [told(scalar) for scalar in column]}
        for field, column in zip(data.schema, data.columns)
    ]
    json.dump(columns, sys.stdout)


def write(schema):
    rng = random.Random(5)
    arrays = [pa.array(range(ROWS), type=pa.int64())] + [cells(rng, kind, ROWS) for kind in TYPES.values()]
    data = pa.table(arrays, schema=pa.schema([('n', pa.int64())] + list(TYPES.items())))
    data.validate(full=True)
    plain = schema.create_table(TABLE, data.schema)
    plain.insert(data)
    schema.create_table(f'{TABLE}_sorted', data.schema, sorting_key=['n']).insert(data)
    return data


def read(schema):
    return schema.table(TABLE).select().read_all().sort_by('n')


session = vastdb.connect(endpoint=ENDPOINT, access='test', secret='test')
with session.transaction() as tx:
    bucket = tx.bucket(BUCKET)
    schema = bucket.schema(SCHEMA, fail_if_missing=False) or bucket.create_schema(SCHEMA)
    tell(write(schema) if MODE == 'write' else read(schema))
