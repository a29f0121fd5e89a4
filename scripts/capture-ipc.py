"""Writes Arrow IPC streams of another implementation: `python scripts/capture-ipc.py` with pyarrow installed.

Gives test/fixtures/ipc/pyarrow.json: the version, and per case the IPC stream in base64. The values are repeated in
test/domain/arrow/decodePyarrow.test.ts, which compares what is read with them. Needed only to add a case.
"""
import base64
import json
import pathlib
from decimal import Decimal

import pyarrow as pa

cases: dict[str, str] = {}


def write(name, batches, schema=None, **options):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema or batches[0].schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    cases[name] = base64.b64encode(sink.getvalue().to_pybytes()).decode()


def column(name, array, nullable=True):
    write(name, [pa.record_batch([array], schema=pa.schema([pa.field("value", array.type, nullable)]))])


LONG = "a text of more than twelve bytes"
texts = ["", "short", None, LONG, "twelve bytes", "thirteen byte"]
for kind in [pa.string(), pa.large_string(), pa.string_view()]:
    column(str(kind), pa.array(texts, kind))
for kind in [pa.binary(), pa.large_binary(), pa.binary_view()]:
    column(str(kind), pa.array([None if text is None else text.encode() for text in texts], kind))

for kind in [pa.decimal32(9, 2), pa.decimal64(18, 2), pa.decimal128(38, 2), pa.decimal256(76, 2)]:
    column(str(kind), pa.array([Decimal("-1.10"), None, Decimal("0.00"), Decimal("1234567.89")], kind))
column("decimal128(5, -2)", pa.array([Decimal("12300"), Decimal("-100")], pa.decimal128(5, -2)))

numbers = [[1, None, 3], [], None, [4]]
for make in [pa.list_, pa.large_list, pa.list_view, pa.large_list_view]:
    column(str(make(pa.int32())), pa.array(numbers, make(pa.int32())))
column("fixed_size_list", pa.array([[1, None], None, [3, 4]], pa.list_(pa.int32(), 2)))
column("struct", pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}], pa.struct([("a", pa.int64()), ("b", pa.string())])))
column("map", pa.array([[("k", 1), ("l", None)], None, []], pa.map_(pa.string(), pa.int32())))

column("dictionary", pa.array(["x", "y", None, "x"]).dictionary_encode())
column("run_end_encoded", pa.RunEndEncodedArray.from_arrays(pa.array([2, 3, 5], pa.int16()), pa.array(["a", None, "b"])))

column("sparse_union", pa.UnionArray.from_sparse(pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(["x", "y", "z"])], ["n", "s"]))
column("dense_union", pa.UnionArray.from_dense(pa.array([0, 1, 1, 0], pa.int8()), pa.array([0, 0, 1, 1], pa.int32()), [pa.array([1, None]), pa.array(["x", "y"])], ["n", "s"]))

column("null", pa.nulls(3))
column("bool", pa.array([True, None, False, True, True, False, True, False, None], pa.bool_()))
column("float16", pa.array([1.0, None, -2.0], pa.float16()))
column("month_day_nano", pa.array([pa.MonthDayNano([1, -2, 3_000_000_001]), None], pa.month_day_nano_interval()))
column("duration", pa.array([1, None, -1], pa.duration("ns")))
column("date64", pa.array([86_400_000, None], pa.date64()))
column("time64", pa.array([1999, None], pa.time64("ns")))
column("timestamp", pa.array([-1, None, 0], pa.timestamp("ns", "UTC")))

# What a slice leaves behind: offsets that do not begin at zero, bits that do not begin at a byte, views into shared buffers.
big = pa.record_batch(
    {
        "n": pa.array([None if row % 3 == 0 else row for row in range(40)], pa.int32()),
        "b": pa.array([None if row % 5 == 0 else row % 2 == 0 for row in range(40)]),
        "s": pa.array([None if row % 7 == 0 else "s" * row for row in range(40)]),
        "v": pa.array([None if row % 7 == 0 else "v" * row for row in range(40)], pa.string_view()),
        "l": pa.array([None if row % 4 == 0 else list(range(row % 6)) for row in range(40)], pa.list_(pa.int16())),
        "w": pa.array([None if row % 4 == 0 else list(range(row % 6)) for row in range(40)], pa.list_view(pa.int16())),
        "t": pa.array([None if row % 6 == 0 else {"a": row} for row in range(40)], pa.struct([("a", pa.int64())])),
    }
)
write("slices", [big.slice(0, 0), big.slice(3, 11), big.slice(17, 23)])

schema = pa.schema([pa.field("value", pa.dictionary(pa.int32(), pa.string()))])


def coded(values, indices):
    return pa.record_batch([pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), pa.array(values))], schema=schema)


growing = [coded(["a", "b"], [0, 1, None]), coded(["a", "b", "c"], [2, 0]), coded(["a", "b", "c", "d"], [3, 2, 1])]
write("dictionary_delta", growing, schema, emit_dictionary_deltas=True)
write("dictionary_replaced", [coded(["a", "b"], [0, 1]), coded(["z"], [0, 0])], schema)

plain = pa.record_batch({"value": pa.array(list(range(1000)), pa.int64())})
write("zstd", [plain], compression="zstd")
write("lz4", [plain], compression="lz4")
write("v4", [plain], metadata_version=pa.ipc.MetadataVersion.V4)

path = pathlib.Path(__file__).parent.parent / "test/fixtures/ipc/pyarrow.json"
path.write_text(json.dumps({"writer": f"pyarrow {pa.__version__}", "streams": cases}, indent=1) + "\n")
