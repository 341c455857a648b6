"""Checks of a server of the VAST Database protocol with VAST's own Python SDK. Prints one line per check; exit status 1 if any failed.

    python checks.py ENDPOINT BUCKET ACCESS_KEY SECRET_KEY
"""

import datetime as dt
import decimal
import sys
import threading
import traceback

import pyarrow as pa
import pyarrow.compute as pc
import vastdb
from vastdb import errors
from vastdb.config import QueryConfig

ENDPOINT, BUCKET, ACCESS, SECRET = sys.argv[1:5]
ROW_ID = '$row_id'
CHECKS = []


def check(function):
    CHECKS.append((function.__name__.replace('_', ' '), function))
    return function


def connect(**options):
    return vastdb.connect(**{'endpoint': ENDPOINT, 'access': ACCESS, 'secret': SECRET, **options})


session = connect()


def raises(kind, work):
    try:
        work()
    except kind as error:
        return error
    raise AssertionError(f'{kind.__name__} was not raised')


def drop_all(parent):
    for schema in parent.schemas():
        drop_all(schema)
        for table in schema.tables():
            table.drop()
        schema.drop()


def clean():
    with session.transaction() as tx:
        drop_all(tx.bucket(BUCKET))


def in_schema(work):
    with session.transaction() as tx:
        return work(tx.bucket(BUCKET).create_schema('s'))


def rows_of(table, **options):
    return table.select(**options).read_all()


FILES = pa.schema([('name', pa.utf8()), ('size', pa.int64()), ('ratio', pa.float64()), ('seen', pa.timestamp('us'))])
NAMES = ['a', 'ab', 'abc', None, 'b', 'ünï', '']
SIZES = [1, 2, None, 4, -5, 2**62, 0]
RATIOS = [0.5, None, -1.5, 2.5, float('inf'), 0.0, 1e300]
SEEN = [dt.datetime(2024, 1, 1), None, dt.datetime(1969, 12, 31, 23, 59, 59, 999999), dt.datetime(2030, 6, 1, 12), None, dt.datetime(1970, 1, 1), dt.datetime(2024, 1, 1, 0, 0, 0, 1)]
FILES_DATA = pa.table([NAMES, SIZES, RATIOS, SEEN], schema=FILES)


def files_table(schema, name='files', **options):
    table = schema.create_table(name, FILES, **options)
    table.insert(FILES_DATA)
    return table


def with_files(work, **options):
    return in_schema(lambda schema: work(files_table(schema, **options)))


# --- connecting

@check
def connecting_reads_the_version_of_the_server():
    assert session.api.vast_version[0] == 5


@check
def a_wrong_secret_is_forbidden():
    raises(errors.Forbidden, lambda: connect(secret='wrong'))


@check
def an_unknown_access_key_is_forbidden():
    raises(errors.Forbidden, lambda: connect(access='unknown'))


@check
def a_missing_bucket_is_named():
    with session.transaction() as tx:
        raises(errors.MissingBucket, lambda: tx.bucket('no-such-bucket'))


@check
def a_bucket_has_no_snapshots():
    with session.transaction() as tx:
        assert tx.bucket(BUCKET).snapshots() == []


# --- schemas

@check
def a_schema_is_found_after_commit():
    in_schema(lambda schema: None)
    with session.transaction() as tx:
        assert tx.bucket(BUCKET).schema('s').name == 's'


@check
def a_schema_of_a_failed_transaction_is_gone():
    def fail():
        with session.transaction() as tx:
            tx.bucket(BUCKET).create_schema('s')
            raise KeyError('stop')
    raises(KeyError, fail)
    with session.transaction() as tx:
        assert tx.bucket(BUCKET).schema('s', fail_if_missing=False) is None


@check
def a_schema_exists_once():
    in_schema(lambda schema: raises(errors.SchemaExists, lambda: schema.bucket.create_schema('s')))


@check
def schemas_nest():
    def work(schema):
        schema.create_schema('inner').create_schema('deep')
        assert [s.name for s in schema.schemas()] == ['s/inner'], schema.schemas()
        assert [s.name for s in schema.schema('inner').schemas()] == ['s/inner/deep']
        raises(errors.Conflict, schema.drop)
    raises(errors.Conflict, lambda: in_schema(lambda schema: (work(schema), schema.drop())))


@check
def a_schema_is_renamed_with_what_is_in_it():
    def work(schema):
        files_table(schema)
        schema.rename('renamed')
        assert schema.table('files').stats.num_rows == 7
        assert schema.bucket.schema('s', fail_if_missing=False) is None
    in_schema(work)


@check
def schemas_are_listed_in_pages():
    with session.transaction() as tx:
        bucket = tx.bucket(BUCKET)
        names = [f'page-{i}' for i in range(7)]
        for name in names:
            bucket.create_schema(name)
        assert [s.name for s in bucket.schemas(batch_size=3)] == names


# --- tables and columns

@check
def tables_are_listed_in_pages_in_order_of_creation():
    def work(schema):
        names = [f't{i}' for i in (3, 1, 2, 9, 7)]
        for name in names:
            schema.create_table(name, FILES)
        assert schema.tablenames(page_size=2) == names
    in_schema(work)


@check
def a_table_keeps_its_schema():
    with_files(lambda table: None)
    with session.transaction() as tx:
        assert tx.bucket(BUCKET).schema('s').table('files').arrow_schema == FILES


@check
def a_missing_table_is_named():
    in_schema(lambda schema: raises(errors.MissingTable, lambda: schema.table('none')))


@check
def a_table_exists_once():
    def work(schema):
        files_table(schema)
        raises(errors.TableExists, lambda: schema.create_table('files', FILES))
    in_schema(work)


@check
def a_table_is_renamed():
    def work(schema):
        files_table(schema).rename('moved')
        assert schema.tablenames() == ['moved']
        assert rows_of(schema.table('moved')) == FILES_DATA
    in_schema(work)


@check
def a_dropped_table_is_back_after_rollback():
    with_files(lambda table: None)

    def fail():
        with session.transaction() as tx:
            tx.bucket(BUCKET).schema('s').table('files').drop()
            raise KeyError('stop')
    raises(KeyError, fail)
    with session.transaction() as tx:
        assert rows_of(tx.bucket(BUCKET).schema('s').table('files')) == FILES_DATA


@check
def statistics_count_rows():
    def work(table):
        stats = table.get_stats()
        assert stats.num_rows == 7 and stats.size_in_bytes > 0
    with_files(work)


@check
def an_added_column_is_null_in_old_rows():
    def work(table):
        table.add_column(pa.schema([('more', pa.list_(pa.int8()))]))
        assert rows_of(table, columns=['more']).to_pydict() == {'more': [None] * 7}
        table.insert(pa.table([['new'], [[1, 2]]], schema=pa.schema([('name', pa.utf8()), ('more', pa.list_(pa.int8()))])))
        assert rows_of(table, columns=['size', 'more']).to_pylist()[-1] == {'size': None, 'more': [1, 2]}
    with_files(work)


@check
def a_renamed_column_keeps_its_cells():
    def work(table):
        table.rename_column('size', 'bytes')
        assert rows_of(table, columns=['bytes'])['bytes'].to_pylist() == SIZES
    with_files(work)


@check
def a_dropped_column_is_gone():
    def work(table):
        table.drop_column(pa.schema([FILES.field('size')]))
        assert rows_of(table) == FILES_DATA.drop_columns(['size'])
    with_files(work)


@check
def a_new_column_with_the_name_of_a_dropped_one_is_empty():
    def work(table):
        table.drop_column(pa.schema([FILES.field('size')]))
        table.add_column(pa.schema([FILES.field('size')]))
        assert rows_of(table, columns=['size'])['size'].null_count == 7
    with_files(work)


@check
def unsupported_types_are_refused():
    for kind in (pa.null(), pa.dictionary(pa.int32(), pa.utf8()), pa.large_utf8(), pa.date64(), pa.duration('s')):
        raises((errors.NotSupportedSchema, errors.BadRequest), lambda kind=kind: in_schema(lambda schema: schema.create_table('t', pa.schema([('u', kind)]))))


# --- types

TYPES = {
    'bool': (pa.bool_(), [True, None, False]),
    'int8': (pa.int8(), [-128, None, 127]),
    'int16': (pa.int16(), [-2**15, None, 2**15 - 1]),
    'int32': (pa.int32(), [-2**31, None, 2**31 - 1]),
    'int64': (pa.int64(), [-2**63, None, 2**63 - 1]),
    'uint8': (pa.uint8(), [0, None, 255]),
    'uint16': (pa.uint16(), [0, None, 2**16 - 1]),
    'uint32': (pa.uint32(), [0, None, 2**32 - 1]),
    'uint64': (pa.uint64(), [0, None, 2**64 - 1]),
    'float32': (pa.float32(), [-0.5, None, float('-inf')]),
    'float64': (pa.float64(), [5e-324, None, 1.7976931348623157e308]),
    'decimal': (pa.decimal128(38, 3), [decimal.Decimal('-99999999999999999999999999999999999.999'), None, decimal.Decimal('0.001')]),
    'utf8': (pa.utf8(), ['', None, '𝄞 ünïcode \x00']),
    'binary': (pa.binary(), [b'', None, b'\x00\xff']),
    'date32': (pa.date32(), [dt.date(1, 1, 1), None, dt.date(9999, 12, 31)]),
    'time32s': (pa.time32('s'), [dt.time(0), None, dt.time(23, 59, 59)]),
    'time32ms': (pa.time32('ms'), [dt.time(0), None, dt.time(23, 59, 59, 999000)]),
    'time64us': (pa.time64('us'), [dt.time(0), None, dt.time(23, 59, 59, 999999)]),
    'time64ns': (pa.time64('ns'), [dt.time(0), None, dt.time(12)]),
    'timestamps': (pa.timestamp('s'), [dt.datetime(1900, 1, 1), None, dt.datetime(2100, 1, 1)]),
    'timestampms': (pa.timestamp('ms'), [dt.datetime(1900, 1, 1), None, dt.datetime(2100, 1, 1)]),
    'timestampus': (pa.timestamp('us'), [dt.datetime(1900, 1, 1), None, dt.datetime(2100, 1, 1, 0, 0, 0, 1)]),
    'timestampns': (pa.timestamp('ns'), [dt.datetime(1900, 1, 1), None, dt.datetime(2100, 1, 1)]),
    'zoned': (pa.timestamp('us', tz='UTC'), [dt.datetime(2000, 1, 1, tzinfo=dt.timezone.utc), None, None]),
    'list': (pa.list_(pa.utf8()), [[], None, ['a', None, '']]),
    'lists': (pa.list_(pa.list_(pa.int32())), [[[1], [], None], None, []]),
    'fixed': (pa.list_(pa.field('item', pa.float32(), nullable=False), 3), [[1.0, 2.0, 3.0], None, [0.0, -1.0, 0.5]]),
    'struct': (pa.struct([('x', pa.int16()), ('y', pa.struct([('z', pa.utf8())]))]), [{'x': 1, 'y': {'z': 'q'}}, None, {'x': None, 'y': None}]),
    'map': (pa.map_(pa.utf8(), pa.float64()), [[('k', 1.0), ('l', None)], None, []]),
    'structs': (pa.list_(pa.struct([('a', pa.int8()), ('b', pa.list_(pa.bool_()))])), [[{'a': 1, 'b': [True, None]}], None, []]),
}


def type_check(name, kind, values):
    def run():
        def work(schema):
            data = pa.table([[1, 2, 3], values], schema=pa.schema([('n', pa.int8()), ('v', kind)]))
            table = schema.create_table('t', data.schema)
            table.insert(data)
            assert rows_of(table) == data
            assert rows_of(table, columns=['v'], predicate=table['n'] == 3) == data.select(['v']).slice(2)
        in_schema(work)
    CHECKS.append((f'type {name} comes back as it was', run))


for type_name, (arrow_type, cells) in TYPES.items():
    type_check(type_name, arrow_type, cells)


@check
def a_batch_of_another_type_is_refused():
    bad = pa.table([['x']], schema=pa.schema([('size', pa.utf8())]))
    with_files(lambda table: raises(errors.BadRequest, lambda: table.insert(bad)))


@check
def a_batch_with_an_unknown_column_is_refused():
    bad = pa.table([['x']], schema=pa.schema([('nobody', pa.utf8())]))
    with_files(lambda table: raises((errors.NotFound, errors.BadRequest), lambda: table.insert(bad)))


# --- selecting

@check
def columns_come_in_the_order_asked_for():
    with_files(lambda table: pa.Table.equals(rows_of(table, columns=['ratio', 'name']), FILES_DATA.select(['ratio', 'name'])) or 1 / 0)


@check
def no_columns_count_rows():
    def work(table):
        assert rows_of(table, columns=[]).num_rows == 7
        assert rows_of(table, columns=[], predicate=table['size'] > 1).num_rows == 3
    with_files(work)


@check
def row_ids_run_from_zero():
    with_files(lambda table: rows_of(table, columns=[], internal_row_id=True)[ROW_ID].to_pylist() == list(range(7)) or 1 / 0)


FIELD = pc.field
PREDICATES = {
    'equal text': (lambda t: t['name'] == 'ab', FIELD('name') == 'ab'),
    'not equal text': (lambda t: t['name'] != 'ab', FIELD('name') != 'ab'),
    'text order': (lambda t: t['name'] > 'abb', FIELD('name') > 'abb'),
    'empty text': (lambda t: t['name'] == '', FIELD('name') == ''),
    'equal number': (lambda t: t['size'] == 2**62, FIELD('size') == 2**62),
    'not equal number': (lambda t: t['size'] != 4, FIELD('size') != 4),
    'less': (lambda t: t['size'] < 2, FIELD('size') < 2),
    'less or equal': (lambda t: t['size'] <= 2, FIELD('size') <= 2),
    'greater': (lambda t: t['ratio'] > 0.5, FIELD('ratio') > 0.5),
    'greater or equal': (lambda t: t['ratio'] >= 0.5, FIELD('ratio') >= 0.5),
    'between': (lambda t: t['size'].between(0, 4), (FIELD('size') >= 0) & (FIELD('size') <= 4)),
    'in': (lambda t: t['name'].isin(['a', 'b', 'zz', 'ünï', 'q']), FIELD('name').isin(['a', 'b', 'zz', 'ünï', 'q'])),
    'in numbers': (lambda t: t['size'].isin(list(range(500))), FIELD('size').isin(list(range(500)))),
    'null': (lambda t: t['size'].isnull(), FIELD('size').is_null()),
    'not null': (lambda t: ~t['size'].isnull(), ~FIELD('size').is_null()),
    'time': (lambda t: t['seen'] >= dt.datetime(2024, 1, 1), FIELD('seen') >= pa.scalar(dt.datetime(2024, 1, 1), pa.timestamp('us'))),
    'conjunction': (lambda t: (t['size'] > 0) & (t['name'] < 'b') & ~t['ratio'].isnull(), (FIELD('size') > 0) & (FIELD('name') < 'b') & ~FIELD('ratio').is_null()),
    'disjunction': (lambda t: (t['size'] == 4) | (t['size'] < 0) | t['size'].isnull(), (FIELD('size') == 4) | (FIELD('size') < 0) | FIELD('size').is_null()),
    'mixed': (lambda t: ((t['name'] == 'a') | t['name'].isnull()) & (t['size'] >= 1), ((FIELD('name') == 'a') | FIELD('name').is_null()) & (FIELD('size') >= 1)),
}


def predicate_check(name, ours, arrow):
    def run():
        def work(table):
            assert rows_of(table, predicate=ours(table)) == FILES_DATA.filter(arrow), name
            assert rows_of(table, columns=['ratio'], predicate=ours(table)) == FILES_DATA.filter(arrow).select(['ratio']), name
        with_files(work)
    CHECKS.append((f'predicate {name} gives the rows that Arrow gives', run))


for predicate_name, (ours, arrow) in PREDICATES.items():
    predicate_check(predicate_name, ours, arrow)


@check
def a_prefix_finds_what_begins_with_it():
    def work(table):
        found = {p: rows_of(table, columns=['name'], predicate=table['name'].startswith(p))['name'].to_pylist() for p in ('ab', 'ü', '')}
        assert found == {'ab': ['ab', 'abc'], 'ü': ['ünï'], '': ['a', 'ab', 'abc', 'b', 'ünï', '']}, found
    with_files(work)


@check
def a_substring_finds_what_contains_it():
    def work(table):
        assert rows_of(table, columns=['name'], predicate=table['name'].contains('b'))['name'].to_pylist() == ['ab', 'abc', 'b']
    with_files(work)


@check
def a_member_of_a_struct_can_be_filtered():
    def work(schema):
        kind = pa.struct([('x', pa.int16()), ('y', pa.utf8())])
        data = pa.table([[{'x': 1, 'y': 'p'}, None, {'x': 2, 'y': None}]], schema=pa.schema([('s', kind)]))
        table = schema.create_table('t', data.schema)
        table.insert(data)
        assert rows_of(table, predicate=table['s']['x'] == 2) == data.slice(2)
        assert rows_of(table, predicate=table['s']['y'].isnull()) == data.slice(1)
    in_schema(work)


@check
def a_limit_is_kept():
    def work(schema):
        table = schema.create_table('t', pa.schema([('n', pa.int32())]))
        table.insert(pa.table([list(range(5000))], schema=table.arrow_schema))
        assert rows_of(table, predicate=table['n'] >= 100, limit_rows=250)['n'].to_pylist() == list(range(100, 350))
    in_schema(work)


@check
def many_splits_and_subsplits_cover_the_table_once():
    def work(schema):
        table = schema.create_table('t', pa.schema([('n', pa.int64())]))
        count = 5 * 65536 + 17
        table.insert(pa.table([list(range(count))], schema=table.arrow_schema))
        config = QueryConfig(num_splits=3, num_sub_splits=2, num_row_groups_per_sub_split=1, limit_rows_per_sub_split=20000)
        assert sorted(rows_of(table, config=config)['n'].to_pylist()) == list(range(count))
    in_schema(work)


@check
def a_wide_batch_is_inserted_by_columns():
    def work(schema):
        data = pa.table([[f'{i}' * 9000] for i in range(300)], names=[f'c{i}' for i in range(300)])
        table = schema.create_table('t', data.schema)
        table.insert(data)
        assert rows_of(table) == data
    in_schema(work)


# --- updating, deleting

@check
def an_update_changes_only_its_cells():
    def work(table):
        found = rows_of(table, columns=['size'], predicate=table['name'] == 'ab', internal_row_id=True)
        table.update(found.set_column(0, FILES.field('size'), pa.array([77])), columns=['size'])
        after = rows_of(table)
        assert after['size'].to_pylist() == [1, 77] + SIZES[2:]
        assert after.drop_columns(['size']) == FILES_DATA.drop_columns(['size'])
    with_files(work)


@check
def an_updated_row_is_found_by_its_new_value_only():
    def work(table):
        table.update(pa.record_batch([pa.array([0], pa.uint64()), ['moved']], names=[ROW_ID, 'name']))
        assert rows_of(table, predicate=table['name'] == 'moved').num_rows == 1
        assert rows_of(table, predicate=table['name'] == 'a').num_rows == 0
    with_files(work)


@check
def an_update_can_set_null():
    def work(table):
        table.update(pa.record_batch([pa.array([0, 6], pa.uint64()), pa.array([None, 'x'], pa.utf8())], names=[ROW_ID, 'name']))
        assert rows_of(table)['name'].to_pylist() == [None] + NAMES[1:6] + ['x']
    with_files(work)


@check
def deleted_rows_are_gone_and_their_ids_not_used_again():
    def work(table):
        table.delete(pa.record_batch([pa.array([0, 6], pa.uint64())], names=[ROW_ID]))
        assert rows_of(table) == FILES_DATA.slice(1, 5)
        assert table.insert(FILES_DATA.slice(0, 1)).to_pylist() == [7]
        assert table.get_stats().num_rows == 6
    with_files(work)


# --- sorted tables, projections, row ids of the client

@check
def a_sorted_table_knows_its_key():
    with_files(lambda table: None, sorting_key=['size', 'name'])
    with session.transaction() as tx:
        table = tx.bucket(BUCKET).schema('s').table('files')
        assert [f.name for f in table.sorted_columns()] == ['size', 'name']
        assert table.sorted_table and table.sorting_done()


@check
def a_sorted_table_answers_ranges_of_its_key():
    def work(schema):
        data = pa.table([[f'flow-{i % 7}' for i in range(3000)], list(range(3000))], schema=pa.schema([('flow', pa.utf8()), ('start', pa.int64())]))
        table = schema.create_table('t', data.schema, sorting_key=['flow', 'start'])
        table.insert(data)
        ours = (table['flow'] == 'flow-3') & (table['start'] >= 1000) & (table['start'] < 1100)
        arrow = (FIELD('flow') == 'flow-3') & (FIELD('start') >= 1000) & (FIELD('start') < 1100)
        assert rows_of(table, predicate=ours) == data.filter(arrow)
        assert rows_of(table, predicate=table['flow'].isin(['flow-1', 'none', 'flow-6'])) == data.filter(FIELD('flow').isin(['flow-1', 'flow-6']))
    in_schema(work)


@check
def a_sorted_table_is_updated_and_deleted_by_wide_row_ids():
    def work(table):
        found = rows_of(table, columns=['ratio'], predicate=table['name'] == 'b', internal_row_id=True)
        assert found.schema.field(ROW_ID).type == pa.decimal128(38, 0)
        table.update(found.set_column(0, FILES.field('ratio'), pa.array([9.0])), columns=['ratio'])
        assert rows_of(table, columns=['ratio'], predicate=table['name'] == 'b')['ratio'].to_pylist() == [9.0]
        table.delete(found)
        assert rows_of(table).num_rows == 6
    with_files(work, sorting_key=['name'])


@check
def a_key_column_cannot_be_updated():
    def work(table):
        found = rows_of(table, columns=['name'], internal_row_id=True)
        raises(errors.BadRequest, lambda: table.update(found, columns=['name']))
    with_files(work, sorting_key=['name'])


@check
def a_second_key_is_refused():
    with_files(lambda table: raises(errors.BadRequest, lambda: table.add_sorting_key([0])), sorting_key=['name'])


@check
def projections_are_made_renamed_listed_and_dropped():
    def work(table):
        table.create_projection('p', ['size'], ['name'])
        table.create_projection('q', ['name'], [])
        table.projection('p').rename('r')
        assert [p.name for p in table.projections()] == ['r', 'q']
        assert table.projection('r').columns().names == ['size', 'name']
        assert table.projection('r').stats.num_rows == 7
        table.projection('r').drop()
        raises(errors.MissingProjection, lambda: table.projection('r'))
    with_files(work)


@check
def a_forced_projection_gives_the_same_rows():
    def work(table):
        table.create_projection('p', ['size'], ['name', 'ratio', 'seen'])
        config = QueryConfig(semi_sorted_projection_name='p')
        found = rows_of(table, config=config, predicate=table['size'] > 0)
        assert found['size'].to_pylist() == [1, 2, 4, 2**62]
    with_files(work)


@check
def row_ids_of_the_client_are_looked_up():
    def work(schema):
        data = pa.table([[30, 10, 20], ['c', 'a', 'b']], schema=pa.schema([('vastdb_rowid', pa.int64()), ('v', pa.utf8())]))
        table = schema.create_table('t', data.schema)
        table.insert(data)
        assert table.get_stats().is_external_rowid_alloc
        assert rows_of(table, predicate=table['vastdb_rowid'] == 20)['v'].to_pylist() == ['b']
        assert rows_of(table).to_pydict() == {'vastdb_rowid': [10, 20, 30], 'v': ['a', 'b', 'c']}
    in_schema(work)


@check
def an_imports_table_is_made_and_read():
    def work(table):
        table.create_imports_table()
        assert 'ObjectName' in table.imports_table().arrow_schema.names
        assert rows_of(table.imports_table()).num_rows == 0
    with_files(work)


# --- transactions

@check
def a_transaction_reads_what_it_wrote_and_others_do_not():
    with_files(lambda table: None)
    with session.transaction() as one, session.transaction() as other:
        mine, theirs = (tx.bucket(BUCKET).schema('s').table('files') for tx in (one, other))
        mine.insert(FILES_DATA)
        assert rows_of(mine).num_rows == 14 and rows_of(theirs).num_rows == 7


@check
def a_snapshot_does_not_see_later_commits():
    with_files(lambda table: None)
    with session.transaction() as reader:
        table = reader.bucket(BUCKET).schema('s').table('files')
        with session.transaction() as writer:
            writer.bucket(BUCKET).schema('s').table('files').insert(FILES_DATA)
        assert rows_of(table).num_rows == 7
    with session.transaction() as later:
        assert rows_of(later.bucket(BUCKET).schema('s').table('files')).num_rows == 14


def update_in(tx, value, row=0):
    table = tx.bucket(BUCKET).schema('s').table('files')
    table.update(pa.record_batch([pa.array([row], pa.uint64()), pa.array([value], pa.int64())], names=[ROW_ID, 'size']))


@check
def of_two_updates_of_one_row_the_first_to_commit_wins():
    with_files(lambda table: None)
    first, second = session.transaction(), session.transaction()
    tx1, tx2 = first.__enter__(), second.__enter__()
    update_in(tx1, 100)
    update_in(tx2, 200)
    second.__exit__(None, None, None)
    raises(errors.Conflict, lambda: first.__exit__(None, None, None))
    with session.transaction() as tx:
        assert rows_of(tx.bucket(BUCKET).schema('s').table('files'))['size'].to_pylist()[0] == 200


@check
def updates_of_different_rows_do_not_collide():
    with_files(lambda table: None)
    with session.transaction() as one, session.transaction() as other:
        update_in(one, 100, row=0)
        update_in(other, 200, row=1)
    with session.transaction() as tx:
        assert rows_of(tx.bucket(BUCKET).schema('s').table('files'))['size'].to_pylist()[:2] == [100, 200]


@check
def two_transactions_cannot_make_the_same_table():
    in_schema(lambda schema: None)

    def work():
        with session.transaction() as one, session.transaction() as other:
            one.bucket(BUCKET).schema('s').create_table('t', FILES)
            other.bucket(BUCKET).schema('s').create_table('t', FILES)
    raises(errors.Conflict, work)


@check
def inserts_of_many_threads_are_all_there():
    with_files(lambda table: None)
    failures = []

    def insert(number):
        try:
            with connect().transaction() as tx:
                table = tx.bucket(BUCKET).schema('s').table('files')
                table.insert(pa.table([[f'thread-{number}-{i}' for i in range(50)]], names=['name']))
        except Exception as error:  # noqa: BLE001
            failures.append(error)
    threads = [threading.Thread(target=insert, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with session.transaction() as tx:
        table = tx.bucket(BUCKET).schema('s').table('files')
        found = rows_of(table, columns=['name'], predicate=table['name'].startswith('thread-'), internal_row_id=True)
        assert len(set(found['name'].to_pylist())) == 600 and len(set(found[ROW_ID].to_pylist())) == 600


@check
def of_many_threads_that_count_up_one_row_none_loses_an_update():
    with_files(lambda table: None)
    wins = []

    def count_up():
        own = connect()
        for _ in range(5):
            try:
                with own.transaction() as tx:
                    table = tx.bucket(BUCKET).schema('s').table('files')
                    size = rows_of(table, columns=['size'])['size'].to_pylist()[0]
                    update_in(tx, size + 1)
                wins.append(1)
            except errors.Conflict:
                pass
    threads = [threading.Thread(target=count_up) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with session.transaction() as tx:
        assert rows_of(tx.bucket(BUCKET).schema('s').table('files'))['size'].to_pylist()[0] == 1 + len(wins)
    assert len(wins) > 0


def main():
    failed = 0
    for name, work in CHECKS:
        try:
            clean()
            work()
            print(f'ok    {name}', flush=True)
        except Exception:  # noqa: BLE001
            failed += 1
            print(f'FAIL  {name}\n{traceback.format_exc()}', flush=True)
    clean()
    print(f'{len(CHECKS) - failed} of {len(CHECKS)} checks passed')
    sys.exit(1 if failed else 0)


main()
