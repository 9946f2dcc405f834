"""What was promised, set by set: the rows of each table of figures and what they should reach."""

from figures import (Figure, both, figure, of, part, part_ns, rate, result_calls,
                     result_commits_per_sync, result_latency, result_rate, result_space,
                     result_steadiness, result_sustained_rate)

US, MS, SECOND = 1e3, 1e6, 1e9
GB, MB = 1e9, 1e6


def quotient(a, b):
    return a / b


def latency(what, section, label, kind, quantile, at_least=None, aim=None, **more):
    return figure(what, "ns", section, label, result_latency(kind, quantile), at_least, aim,
                  less=True, **more)


# --- the write path ---


def sync_policy(name, section, label="fillrandom"):
    return [rate(f"{name}: commits", section, label)] + [
        latency(f"{name}: {text}", section, label, "write", quantile)
        for text, quantile in (("p50", "p50_ns"), ("p99", "p99_ns"), ("p99.9", "p999_ns"))]


def bare_sync_share(measured, engine):
    """The median commit, of the median page written and synced without an engine."""
    mine = of("sync-each", "fillsync", result_latency("write", "p50_ns"))
    bare = mine(measured, "bare")
    return {number: value / bare[number] for number, value in mine(measured, engine).items()
            if bare.get(number)}


def result_seconds_per_100_mb(result):
    return result["seconds"] * SECOND / (result["operations"] * 116 / (100 * MB))


def result_bytes_rate(result):
    return result["live_bytes"] / result["seconds"]


WRITE_PATH = [
    rate("random put, sustained", "sustained", "fillrandom", 0.6e6, 1.3e6),
    rate("the same, beside RocksDB", "sustained", "fillrandom", None, 5, relative=True),
    rate("random put, within one memtable", "within", "fillrandom", 1.2e6, 2.5e6),
    rate("sequential put", "sustained", "fillseq", 1.5e6, 4e6),
    rate("batches of 100, sequential", "sustained", "fillseqbatch", 4e6, 8e6),
    rate("batches of 100, random", "sustained", "fillrandombatch", 1.5e6, 3e6),
    Figure("8 writers, of 1 writer", "x",
           both(of("within", "fillrandom@8", result_rate), of("within", "fillrandom", result_rate),
                quotient), 1, 1.7),
    latency("p99.9 of a put while flushing", "sustained", "fillrandom", "write", "p999_ns", 1 * MS,
            100 * US),
    figure("read and write calls of a put", "", "sustained", "fillrandom", result_calls, less=True),
    *sync_policy("sync each", "sync-each", "fillsync"),
    Figure("sync each: p50, of a page written in place and fdatasync", "x", bare_sync_share, 1.05,
           less=True),
    *sync_policy("sync each, 16 writers", "sync-each", "fillsync@16"),
    figure("sync each, 16 writers: commits per device sync", "", "sync-each", "fillsync@16",
           result_commits_per_sync, 8, 14),
    *sync_policy("sync every 100", "sync-100"),
    *sync_policy("sync every MiB", "sync-1M"),
    *sync_policy("sync every second", "sync-1s"),
    figure("flush of a memtable", "B/s", "within", "flush", result_bytes_rate, 500 * MB, 2 * GB),
    figure("recovery, per 100 MB of log", "ns", "recovery", "recovery", result_seconds_per_100_mb,
           0.5 * SECOND, 0.25 * SECOND, less=True),
    Figure("log append of batches of 1 MiB", "B/s", part("log append, 1 MiB batches: bytes", "pwrite"),
           1 * GB, 4 * GB),
    Figure("memtable alone: inserts by 8 threads", "/s",
           part("binary random: insert, 8 threads", "memtable"), 1.5e6, 3e6),
    Figure("memtable alone: lookups", "/s", part("binary random: look up", "memtable"), 2e6, 4e6),
    Figure("the same, of a balanced tree", "x",
           both(part("binary random: look up", "memtable"), part("binary random: look up", "tree"),
                quotient)),
    Figure("CRC-32C of 4 KiB", "B/s", part("crc32c, 4096 B pieces: bytes", "crc32c"), 12 * GB,
           25 * GB),
    Figure("XXH3 of 4 KiB", "B/s", part("hash64, 4096 B pieces: bytes", "XXH3"), 12 * GB, 25 * GB),
    Figure("varint decode", "B/s", part("varint decode, 1-3 B: bytes", "varint"), 500 * MB),
]

# --- the read path ---


def result_bandwidth_share(result):
    if not result.get("device_bytes_per_second"):
        return None
    return result["user_bytes_read"] / result["seconds"] / result["device_bytes_per_second"]


def result_page_share(result):
    page = result.get("device_page_ns")
    return result["read_latency"]["p50_ns"] / page if page else None


READ_PATH = [
    rate("readrandom, cached", "cached", "readrandom", 700e3, 1.2e6),
    rate("the same, beside RocksDB", "cached", "readrandom", None, 2.5, relative=True),
    rate("readrandom, LZ4, cached", "lz4", "readrandom", 600e3, 1e6),
    rate("readmulti, 32 at a time", "cached", "readmulti"),
    rate("readmissing", "cached", "readmissing", 1.3e6, 2.9e6),
    rate("readmissing without filters", "no-filters", "readmissing"),
    rate("read from memtable", "memtable", "readrandom", 1.5e6, 3e6),
    rate("readseq", "cached", "readseq after drain (2)", 15e6, 40e6),
    rate("readreverse", "cached", "readreverse", 8e6, 20e6),
    rate("seekrandom + 50 next", "cached", "seekrandom", 150e3, 400e3),
    Figure("readers 1 -> 2", "x",
           both(of("cached", "readrandom@2", result_rate), of("cached", "readrandom", result_rate),
                quotient), 1.8, 1.95),
    figure("cold scan, of the device's bandwidth", "x", "cold", "scancold", result_bandwidth_share,
           0.8, 0.95),
    latency("cold point read, median", "cold", "readcold", "read", "p50_ns", 100 * US),
    figure("the same, of one page read", "x", "cold", "readcold", result_page_share, 1.2, 1.05,
           less=True),
    rate("readrandom, the cache holds a tenth", "pressure", "readrandom"),
    rate("readmissing, the cache holds a tenth", "pressure", "readmissing"),
    rate("seekrandom, the cache holds a tenth", "pressure", "seekrandom"),
    Figure("block point lookup", "ns", part_ns("block: look up", "block"), 150, 75, less=True),
    Figure("block iteration", "/s", part("block: entries", "block"), 30e6, 60e6),
    Figure("filter probe, in cache", "ns", part_ns("filter: probe, 10 bits", "filter"), 10, 5,
           less=True),
] + [Figure(f"merge of {inputs} inputs, per entry", "ns",
            part_ns(f"merge of {inputs}: entries", "merge"), most, most / 2, less=True)
     for inputs, most in ((2, 30), (10, 60), (50, 90), (100, 110))]

# --- compaction ---

COMPACTION = [
    figure("fillrandom, ingest + drain", "/s", "sustained", "fillrandom", result_sustained_rate,
           1.5, 3, relative=True),
    figure("overwrite, ingest + drain", "/s", "sustained", "overwrite", result_sustained_rate, 1.5,
           3, relative=True),
    figure("write amplification, fillrandom", "x", "sustained", "fillrandom",
           lambda r: r["write_amplification"], 1, 0.8, less=True, relative=True),
    figure("write amplification, overwrite", "x", "sustained", "overwrite",
           lambda r: r["write_amplification"], less=True),
    figure("space, drained unique fill: tables", "x", "sustained", "flush",
           result_space("table_bytes"), 1.03, 1.02, less=True),
    figure("the same with the log and all other files", "x", "sustained", "flush",
           result_space("disk_bytes"), less=True),
    figure("space, overwrite in steady state: tables", "x", "sustained", "overwrite",
           result_space("table_bytes"), 1.15, 1.11, less=True),
    figure("the same with the log and all other files", "x", "sustained", "overwrite",
           result_space("disk_bytes"), less=True),
    latency("longest stall at full load, fillrandom", "sustained", "fillrandom", "write", "max_ns",
            50 * MS, 10 * MS, gather=max),
    latency("longest stall at full load, overwrite", "sustained", "overwrite", "write", "max_ns",
            50 * MS, 10 * MS, gather=max),
    rate("half the rate sustained", "sustained", "overwrite%50"),
    latency("p99.9 of a put at that rate", "sustained", "overwrite%50", "write", "p999_ns", 500 * US,
            50 * US),
    latency("the longest", "sustained", "overwrite%50", "write", "max_ns", gather=max),
    rate("queue", "queue", "queue"),
    figure("queue: cost at the end, of that at the start", "x", "queue", "queue", result_steadiness,
           1.25, 1.05, less=True),
    figure("scan across 1 M deleted keys, first", "ns", "gap", "readseq after deletemiddle",
           lambda r: r["seconds"] * SECOND, 50 * MS, less=True),
    figure("the same, afterwards", "ns", "gap", "readseq after drain",
           lambda r: r["seconds"] * SECOND, 50 * MS, 1 * MS, less=True),
]

# --- floors ---

FLOORS = [
    rate("sequential writes", "floors", "fillseq", 100e3),
    rate("random writes", "floors", "fillrandom", 50e3),
    latency("cached read, p50", "floors", "readrandom", "read", "p50_ns", 10 * US),
    latency("cached read, p99", "floors", "readrandom", "read", "p99_ns", 10 * US),
    latency("disk read, p50", "floors", "readcold", "read", "p50_ns", 100 * US),
    rate("entries scanned", "floors", "readseq", 5e6),
    figure("recovery of 100 MB", "ns", "floors", "recovery", result_seconds_per_100_mb, SECOND,
           less=True),
    Figure("block lookup", "ns", part_ns("block: look up", "block"), 1000, less=True),
    Figure("filter probe", "ns", part_ns("filter: probe, 10 bits", "filter"), 100, less=True),
    Figure("memtable: inserts by 8 threads", "/s",
           part("binary random: insert, 8 threads", "memtable"), 500e3),
    Figure("log append", "B/s", part("log append, 1 MiB batches: bytes", "pwrite"), 100 * MB),
    Figure("table build", "B/s", part("table build: bytes", "builder"), 50 * MB),
    Figure("CRC-32C", "B/s", part("crc32c, 4096 B pieces: bytes", "crc32c"), 1 * GB),
    Figure("hash", "B/s", part("hash64, 4096 B pieces: bytes", "XXH3"), 5 * GB),
    Figure("LZ4, compressing", "B/s", part("LZ4: bytes in", "lz4"), 200 * MB),
    Figure("LZ4, expanding", "B/s", part("LZ4: bytes out", "lz4"), 1 * GB),
]

# --- the table of goals: multiples of RocksDB in the same round ---


def goals(shape):
    one, threads, ycsb = shape, f"{shape}-threads", f"{shape}-ycsb"
    large, deletes = f"{shape}-large", f"{shape}-deletes"
    rows = [
        ("fillseq", one, "fillseq", 2, 5),
        ("fillrandom", one, "fillrandom", 2, 5),
        ("overwrite", one, "overwrite", 2, 4),
        ("deleterandom", one, "deleterandom", 2.5, 5),
        ("fillbatch of 100, sequential", one, "fillseqbatch", 2, 4),
        ("fillbatch of 100, random", one, "fillrandombatch", 2.5, 5),
        ("fillrandom, 2 threads", threads, "fillrandom@2", 2.5, 5),
        ("fillrandom, 4 threads", threads, "fillrandom@4", 2.5, 5),
        ("fillsync", one, "fillsync", None, 1.5),
        ("readrandom", one, "readrandom", 2.5, 5.5),
        ("readrandom, 2 threads", threads, "readrandom@2", 3, 6),
        ("readrandom, 4 threads", threads, "readrandom@4", 3, 6),
        ("readmissing", one, "readmissing", 3, 7),
        ("readhot", one, "readhot", 3, 7.5),
        ("readseq after random fill", one, "readseq after fillrandom", 3, 8),
        ("readseq after sequential fill", one, "readseq after fillseq", 3, 8),
        ("seekrandom + 50 next", one, "seekrandom", 2.5, 5),
        ("scanshort", one, "scanshort", 2.5, 4.5),
        ("readwhilewriting", one, "readwhilewriting", 2, 4),
        ("YCSB A", ycsb, "ycsb-a", 2.5, 5),
        ("YCSB B", ycsb, "ycsb-b", 2.5, 5),
        ("YCSB C", ycsb, "ycsb-c", 2.5, 5),
        ("YCSB D", ycsb, "ycsb-d", 2.5, 6),
        ("YCSB E", ycsb, "ycsb-e", 3, 6.5),
        ("YCSB F", ycsb, "ycsb-f", 2.5, 5),
        ("4 KiB values, fill", large, "fill4k", 1.7, 3),
        ("4 KiB values, read", large, "readrandom after fill4k", 2.5, 5.5),
        ("64 KiB values, fill", large, "fill64k", 1.5, 3),
        ("64 KiB values, read", large, "readrandom after fill64k", 4, 23),
        ("recovery of a 200 MB log", deletes, "recovery", 5, 20),
        ("scan across a deleted 99 % range", deletes, "scandeleted after delete99", 10, None),
        ("the same, afterwards", deletes, "scandeleted after drain", 10, 100),
    ]
    return [rate(what, section, label, least, aim, relative=True)
            for what, section, label, least, aim in rows]


def goals_beside_speed(shape):
    """Never worse than RocksDB."""
    rows = [latency(f"{label}: {name}", section, label, kind, quantile, 1, relative=True)
            for section, label, kind in ((shape, "fillrandom", "write"), (shape, "overwrite", "write"),
                                         (shape, "readrandom", "read"),
                                         (f"{shape}-ycsb", "ycsb-a", "read"))
            for name, quantile in (("p99", "p99_ns"), ("p99.9", "p999_ns"))]
    for label in ("fillrandom", "overwrite"):
        rows.append(figure(f"{label}: write amplification", "x", shape, label,
                           lambda r: r["write_amplification"], 1, less=True, relative=True))
    rows.append(figure("fillrandom: space, drained", "x", shape, "fillrandom",
                       result_space("disk_bytes"), 1, less=True, relative=True))
    rows.append(figure("fillrandom: anonymous memory", "B", shape, "fillrandom",
                       lambda r: r["rss_anon_peak"], 1, less=True, relative=True))
    return rows


# --- what options are worth ---


def result_worker_ns(result):
    return result["worker_cpu_ns"] / result["operations"]


def result_all_ns(result):
    usage = result["usage_and_drain"]
    return (usage["cpu_user_ns"] + usage["cpu_system_ns"]) / result["operations"]


def result_amplification(result):
    return result["write_amplification"]


# Times on processors, which neighbours disturb least: the whole process where it writes, background
# work and drain included, the reading thread where it reads.
SETTINGS = {"tuning": ("What each option is worth, per operation", [
    ("fillrandom", "ns", "fillrandom", result_all_ns),
    ("overwrite", "ns", "overwrite", result_all_ns),
    ("w-amp", "x", "overwrite", result_amplification),
    ("space", "x", "flush", result_space("table_bytes")),
    ("readrandom", "ns", "readrandom", result_worker_ns),
    ("readmissing", "ns", "readmissing", result_worker_ns),
    ("scanshort", "ns", "scanshort", result_worker_ns),
    ("put p99.9", "ns", "overwrite", result_latency("write", "p999_ns")),
    ("anon", "B", "overwrite", lambda r: r["rss_anon_peak"]),
])}

# (title, figures) of every set that has any.
TABLES = {
    "write-path": [("What the write path promises", WRITE_PATH)],
    "read-path": [("What the read path promises", READ_PATH)],
    "compaction": [("What compaction promises", COMPACTION)],
    "floors": [("Floors and what was reached", FLOORS)],
}
for goal_set, goal_shapes in (("goals", ("binary", "user")), ("goals-20M", ("binary",))):
    TABLES[goal_set] = [entry for shape in goal_shapes for entry in (
        (f"Goals, {shape} keys", goals(shape)),
        (f"Beside speed, {shape} keys: never worse than RocksDB", goals_beside_speed(shape)))]
