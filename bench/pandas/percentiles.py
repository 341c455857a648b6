"""The report `percentiles` with pandas: from the same SQLite file, and from Arrow tables in memory. Prints JSON."""

import json
import re
import sqlite3
import sys
import time

import pandas
import pyarrow

SQL = """select s.start_ns, s.end_ns from segments s
  join flows f on f.id = s.flow_id and f.timeline_id = s.timeline_id where f.deletion_id = ''"""
FRACTIONS = [0.25, 0.5, 0.75, 0.9, 0.95, 0.99]


def percentiles(frame):
    seconds = (frame["end_ns"] - frame["start_ns"]) / 1e9
    found = seconds.quantile(FRACTIONS)
    row = {"count": int(seconds.count()), "mean": seconds.mean(), "min": seconds.min(), "max": seconds.max()}
    return row | {f"p{round(p * 100)}": found[p] for p in FRACTIONS}


began = time.perf_counter()
frame = pandas.read_sql_query(SQL, sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True))
row = percentiles(frame)
cold_ms = (time.perf_counter() - began) * 1000
# Not `ru_maxrss`, which a process has from the one that started it.
peak_mib = int(re.search(r"^VmHWM:\s+(\d+) kB$", open("/proc/self/status").read(), re.M)[1]) / 1024

table = pyarrow.Table.from_pandas(frame, preserve_index=False)
del frame
times = []
for _ in range(3):
    began = time.perf_counter()
    percentiles(table.to_pandas())
    times.append((time.perf_counter() - began) * 1000)
print(json.dumps({"cold_ms": cold_ms, "loaded_ms": sorted(times)[1], "peak_mib": peak_mib, "row": row}))
