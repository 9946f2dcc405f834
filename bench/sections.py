"""The comparisons by name: which workloads, of what size, on which engines."""

from typing import NamedTuple, Optional


class Section(NamedTuple):
    """One run of one program. The title's first word names the files."""
    title: str
    arguments: list
    engines: Optional[list] = None  # that can do it; None: all
    program: str = "firn-bench"  # or firn-micro: parts of Firn alone, no engines

    @property
    def name(self):
        return self.title.split()[0].rstrip(":,")


POINT = "fillrandom,overwrite,readrandom,readmissing,readhot,seekrandom,scanshort"
SINGLE = (f"fillseq,readseq,fillseqbatch,fillrandombatch,fillsync,{POINT},readseq,readreverse,"
          "readwhilewriting,deleterandom")
YCSB = "fillrandom,ycsb-a,ycsb-b,ycsb-c,ycsb-d,ycsb-e,ycsb-f"
THREADS = "fillrandom@2,readrandom@2,ycsb-a@2,fillrandom@4,readrandom@4,ycsb-a@4"
LARGE = "fill4k,readrandom,fill64k,readrandom"

TOUR = [
    Section("tour of 1 M keys",
            ["--num=1M", "--rounds=3", "--ops=300K", "--trace-ms=250",
             "--benchmarks=fillseq,readseq,fillrandom,overwrite,readrandom,readmissing,readhot,"
             "seekrandom,scanshort,readseq,readwhilewriting,ycsb-a"]),
]
USUAL = [
    Section("single client, 2 M keys", ["--num=2M", "--rounds=5", f"--benchmarks={SINGLE}"]),
    Section("ycsb on 2 M keys", ["--num=2M", "--rounds=5", f"--benchmarks={YCSB}"]),
]
FULL = USUAL + [
    Section("user-keys: 2 M scattered keys",
            ["--num=2M", "--rounds=5", "--key-shape=user", f"--benchmarks={POINT},readseq"]),
    Section("decimal-keys: 2 M zero-padded decimal keys",
            ["--num=2M", "--rounds=5", "--key-shape=decimal", f"--benchmarks={POINT},readseq"]),
    Section("threads: 2 and 4 clients", ["--num=2M", "--rounds=5", f"--benchmarks={THREADS}"]),
    Section("large values", ["--num=2M", "--rounds=5", f"--benchmarks={LARGE}"]),
    Section("recovery of a 200 MB log, and deletes",
            ["--num=2M", "--rounds=5", "--benchmarks=recovery,fillrandom,delete99,scandeleted"]),
    Section("lz4: compressed tables",
            ["--num=2M", "--rounds=5", "--compression=lz4",
             f"--benchmarks={POINT},readseq,compact,readrandom,readseq"], ["rocksdb", "firn"]),
    Section("snappy: compressed tables",
            ["--num=2M", "--rounds=5", "--compression=snappy",
             f"--benchmarks={POINT},readseq,compact,readrandom,readseq"],
            ["rocksdb", "leveldb", "firn"]),
    Section("sustained: 20 M keys",
            ["--num=20M", "--rounds=3", "--ops=2M", "--map=64G",
             f"--benchmarks=fillseq,readseq,{POINT},compact,readrandom,readseq"]),
]

# The table of goals, row by row, for one shape of keys: about a quarter of an hour at 2 M keys on a
# machine that does nothing else.
GOALS_SINGLE = ("fillseq,readseq,fillseqbatch,fillrandombatch,fillsync,fillrandom,readseq,readrandom,"
                "readmissing,readhot,seekrandom,scanshort,readwhilewriting,overwrite,deleterandom")
GOALS_THREADS = "fillrandom@2,readrandom@2,fillrandom@4,readrandom@4"
GOALS_DELETES = "recovery,fillrandom,delete99,scandeleted,drain,scandeleted"


def goals(shape, keys="2M"):
    usual = [f"--num={keys}", "--rounds=2", "--ops=500K", f"--key-shape={shape}", "--map=64G"]
    return [
        Section(f"{shape}: one client, {keys} keys", usual + [f"--benchmarks={GOALS_SINGLE}"]),
        Section(f"{shape}-threads: 2 and 4 clients", usual + [f"--benchmarks={GOALS_THREADS}"]),
        Section(f"{shape}-ycsb: mixed workloads", usual + [f"--benchmarks={YCSB}"]),
        Section(f"{shape}-large values", usual + [f"--benchmarks={LARGE}"]),
        Section(f"{shape}-deletes, and recovery of 200 MB",
                usual + [f"--benchmarks={GOALS_DELETES}"]),
    ]


# Reads in every state of memory and disk: what the read path promises.
READS = "readrandom,readmulti,readmissing,readhot,seekrandom,scanshort,readseq,readreverse"
READ_PATH = [
    Section("memtable: 300 K keys, none in tables",
            ["--num=300K", "--rounds=5", "--benchmarks=fillrandom,readrandom,readmulti"]),
    Section("cached: 5 M keys, drained, all blocks in the cache",
            ["--num=5M", "--rounds=3", "--ops=1M", "--cache=1G",
             f"--benchmarks=fillrandom,flush,drain,readseq,{READS},readrandom@2"]),
    Section("cold: the same, from the device",
            ["--num=5M", "--rounds=3", "--ops=2M", "--cache=1G",
             "--benchmarks=fillrandom,flush,drain,readcold,scancold"]),
    Section("no-filters: the same without filters",
            ["--num=5M", "--rounds=3", "--ops=1M", "--cache=1G", "--filter-bits=0",
             "--benchmarks=fillrandom,flush,drain,readseq,readmissing,readrandom"]),
    Section("pressure: the cache holds a tenth of the data",
            ["--num=5M", "--rounds=3", "--ops=1M", "--cache=58M",
             f"--benchmarks=fillrandom,flush,drain,{READS}"]),
    Section("lz4: compressed tables, all blocks in the cache",
            ["--num=5M", "--rounds=3", "--ops=1M", "--cache=1G", "--compression=lz4",
             f"--benchmarks=fillrandom,compact,readseq,{READS}"], ["rocksdb", "firn"]),
    Section("parts: blocks, tables, filters, merges alone", ["--only=table"], program="firn-micro"),
]

# Puts, batches, threads, sync policies and recovery: what the write path promises.
LOCAL = ["rocksdb", "firn"]
WRITE_PATH = [
    Section("sustained: puts and batches of 10 M keys, through flushes",
            ["--num=10M", "--rounds=3",
             "--benchmarks=fillrandom,fillseq,fillseqbatch,fillrandombatch"], LOCAL),
    Section("within one memtable: 300 K keys, 1 and 8 writers",
            ["--num=300K", "--rounds=5",
             "--benchmarks=fillrandom,flush,fillseq,fillrandombatch,fillrandom@8"], LOCAL),
    Section("sync-each: every commit synced, 1 and 16 writers, beside a file's pages",
            ["--num=2M", "--rounds=3", "--benchmarks=fillsync,fillsync@16"], LOCAL + ["bare"]),
    Section("sync-100: a sync after every 100 commits",
            ["--num=200K", "--rounds=3", "--option=firn:durability=every-commits",
             "--option=firn:sync_commits=100", "--benchmarks=fillrandom"], ["firn"]),
    Section("sync-1M: a sync after every 1 MiB",
            ["--num=1M", "--rounds=3", "--option=firn:durability=every-bytes",
             "--option=firn:sync_bytes=1048576", "--benchmarks=fillrandom"], ["firn"]),
    Section("sync-1s: a sync every second",
            ["--num=1M", "--rounds=3", "--option=firn:durability=interval",
             "--benchmarks=fillrandom"], ["firn"]),
    Section("recovery of a log of 1 GiB",
            ["--rounds=3", "--recovery-bytes=1G", "--benchmarks=recovery"], LOCAL),
    Section("parts: memtable, log, checksums, hashes, varints alone",
            ["--only=binary,log,bytes", "--order=random"], program="firn-micro"),
]

# Sustained load, pacing, deletes: what compaction promises. Memtable, files and levels are a quarter
# of the usual, so that 8 M keys are as deep a tree as 32 M.
TREES = ["rocksdb", "leveldb", "firn"]
COMPACTION = [
    Section("sustained: 8 M keys through memtables of 16 MiB, ingest and drain",
            ["--num=8M", "--rounds=3", "--trace-ms=250", "--memtable=16M",
             "--option=firn:file_bytes=16M", "--option=rocksdb:target_file_size_base=16777216",
             "--option=rocksdb:max_bytes_for_level_base=67108864",
             "--option=leveldb:max_file_size=16777216",
             "--benchmarks=fillrandom,flush,overwrite,overwrite%50"], TREES),
    Section("queue: put at the tail, find and delete the head, 1 M times or 20 s",
            ["--num=1M", "--rounds=3", "--duration=20", "--trace-ms=50", "--benchmarks=queue"],
            TREES),
    Section("gap: a scan across 1 M deleted keys",
            ["--num=1M", "--rounds=3",
             "--benchmarks=fillseq,deletemiddle,readseq,drain,readseq"], TREES),
]

# What was asked for before anything was built.
FLOORS = [
    Section("floors: 2 M keys", ["--num=2M", "--rounds=3", "--recovery-bytes=100M",
                                 "--benchmarks=fillseq,fillrandom,flush,drain,readrandom,readseq,"
                                 "readcold,recovery"], ["firn"]),
    Section("parts of Firn alone", ["--only=binary,log,bytes,table", "--order=random"],
            program="firn-micro"),
]

# What each option is worth: Firn alone, one option changed at a time, on a small tree that is as deep
# as a large one: memtable, files and levels are a 32nd of the usual.
TUNING_USUAL = ["--num=500K", "--rounds=1", "--memtable=2M", "--option=firn:file_bytes=2M",
                "--benchmarks=fillrandom,overwrite,flush,drain,readrandom,readmissing,scanshort"]
TUNING = [Section(title, TUNING_USUAL + changed, ["firn"]) for title, changed in (
    ("usual: 500 K keys, memtables and files of 2 MiB", []),
    ("memtable_bytes=512K", ["--memtable=512K"]),
    ("memtable_bytes=8M", ["--memtable=8M"]),
    ("file_bytes=512K", ["--option=firn:file_bytes=512K"]),
    ("file_bytes=16M", ["--option=firn:file_bytes=16M"]),
    ("level_fanout=4", ["--option=firn:level_fanout=4"]),
    ("l0_compaction_trigger=8", ["--option=firn:l0_compaction_trigger=8"]),
    ("strategy=tiered", ["--option=firn:strategy=tiered"]),
    ("compression=lz4", ["--compression=lz4"]),
    ("compression=zstd", ["--compression=zstd"]),
    ("filter_bits_per_key=none", ["--filter-bits=0"]),
    ("filter_bits_per_key=16", ["--filter-bits=16"]),
    ("block_bytes=1024", ["--block=1024"]),
    ("block_bytes=16384", ["--block=16384"]),
    ("restart_interval=4", ["--option=firn:restart_interval=4"]),
    ("table_io=pread", ["--option=firn:table_io=pread"]),
    ("table_io=pread,cache_bytes=6M", ["--option=firn:table_io=pread", "--cache=6M"]),
    ("verify_reads=yes", ["--option=firn:verify_reads=yes"]),
    ("log_io=pwrite", ["--option=firn:log_io=pwrite"]),
    ("durability=every-bytes", ["--option=firn:durability=every-bytes"]),
)]

SETS = {"tour": TOUR, "usual": USUAL, "full": FULL, "write-path": WRITE_PATH,
        "read-path": READ_PATH, "compaction": COMPACTION, "floors": FLOORS, "tuning": TUNING,
        "goals": goals("binary") + goals("user"), "goals-20M": goals("binary", "20M")}
