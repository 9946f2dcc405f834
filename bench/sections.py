"""The comparisons by name: which workloads, of what size, on which engines."""

# A section is (title, arguments of firn-bench, and the engines that can do it if not all can). The
# title's first word names the files.

POINT = "fillrandom,overwrite,readrandom,readmissing,readhot,seekrandom,scanshort"
SINGLE = (f"fillseq,readseq,fillseqbatch,fillrandombatch,fillsync,{POINT},readseq,readreverse,"
          "readwhilewriting,deleterandom")
YCSB = "fillrandom,ycsb-a,ycsb-b,ycsb-c,ycsb-d,ycsb-e,ycsb-f"
THREADS = "fillrandom@2,readrandom@2,ycsb-a@2,fillrandom@4,readrandom@4,ycsb-a@4"
LARGE = "fill4k,readrandom,fill64k,readrandom"

TOUR = [
    ("tour of 1 M keys",
     ["--num=1M", "--rounds=3", "--ops=300K", "--trace-ms=250",
      "--benchmarks=fillseq,readseq,fillrandom,overwrite,readrandom,readmissing,readhot,seekrandom,"
      "scanshort,readseq,readwhilewriting,ycsb-a"]),
]
USUAL = [
    ("single client, 2 M keys", ["--num=2M", "--rounds=5", f"--benchmarks={SINGLE}"]),
    ("ycsb on 2 M keys", ["--num=2M", "--rounds=5", f"--benchmarks={YCSB}"]),
]
FULL = USUAL + [
    ("user-keys: 2 M scattered keys", ["--num=2M", "--rounds=5", "--key-shape=user",
                                       f"--benchmarks={POINT},readseq"]),
    ("decimal-keys: 2 M zero-padded decimal keys", ["--num=2M", "--rounds=5", "--key-shape=decimal",
                                                    f"--benchmarks={POINT},readseq"]),
    ("threads: 2 and 4 clients", ["--num=2M", "--rounds=5", f"--benchmarks={THREADS}"]),
    ("large values", ["--num=2M", "--rounds=5", f"--benchmarks={LARGE}"]),
    ("recovery of a 200 MB log, and deletes", ["--num=2M", "--rounds=5",
                                               "--benchmarks=recovery,fillrandom,delete99,scandeleted"]),
    ("lz4: compressed tables", ["--num=2M", "--rounds=5", "--compression=lz4",
                                f"--benchmarks={POINT},readseq,compact,readrandom,readseq"],
     ["rocksdb", "firn"]),
    ("snappy: compressed tables", ["--num=2M", "--rounds=5", "--compression=snappy",
                                   f"--benchmarks={POINT},readseq,compact,readrandom,readseq"],
     ["rocksdb", "leveldb", "firn"]),
    ("sustained: 20 M keys", ["--num=20M", "--rounds=3", "--ops=2M", "--map=64G",
                              f"--benchmarks=fillseq,readseq,{POINT},compact,readrandom,readseq"]),
]

# Reads in every state of memory and disk: what the read path promises.
READS = "readrandom,readmulti,readmissing,readhot,seekrandom,scanshort,readseq,readreverse"
READ_PATH = [
    ("memtable: 300 K keys, none in tables", ["--num=300K", "--rounds=5",
                                              "--benchmarks=fillrandom,readrandom,readmulti"]),
    ("cached: 5 M keys, drained, all blocks in the cache",
     ["--num=5M", "--rounds=3", "--ops=1M", "--cache=1G",
      f"--benchmarks=fillrandom,drain,readseq,{READS},readrandom@2"]),
    ("no-filters: the same without filters",
     ["--num=5M", "--rounds=3", "--ops=1M", "--cache=1G", "--filter-bits=0",
      "--benchmarks=fillrandom,drain,readseq,readmissing,readrandom"]),
    ("pressure: the cache holds a tenth of the data",
     ["--num=5M", "--rounds=3", "--ops=1M", "--cache=58M",
      f"--benchmarks=fillrandom,drain,{READS}"]),
    ("lz4: compressed tables, all blocks in the cache",
     ["--num=5M", "--rounds=3", "--ops=1M", "--cache=1G", "--compression=lz4",
      f"--benchmarks=fillrandom,compact,readseq,{READS}"], ["rocksdb", "firn"]),
]

# Puts, batches, threads, sync policies and recovery: what the write path promises.
LOCAL = ["rocksdb", "firn"]
WRITE_PATH = [
    ("sustained: puts and batches of 10 M keys, through flushes",
     ["--num=10M", "--rounds=3",
      "--benchmarks=fillrandom,fillseq,fillseqbatch,fillrandombatch"], LOCAL),
    ("within one memtable: 300 K keys, 1 and 8 writers",
     ["--num=300K", "--rounds=5",
      "--benchmarks=fillrandom,fillseq,fillrandombatch,fillrandom@8"], LOCAL),
    ("sync-each: every commit synced, 1 and 16 writers",
     ["--num=2M", "--rounds=3", "--benchmarks=fillsync,fillsync@16"], LOCAL),
    ("sync-100: a sync after every 100 commits",
     ["--num=200K", "--rounds=3", "--option=firn:durability=every-commits",
      "--option=firn:sync_commits=100", "--benchmarks=fillrandom"], ["firn"]),
    ("sync-1M: a sync after every 1 MiB",
     ["--num=1M", "--rounds=3", "--option=firn:durability=every-bytes",
      "--option=firn:sync_bytes=1048576", "--benchmarks=fillrandom"], ["firn"]),
    ("sync-1s: a sync every second",
     ["--num=1M", "--rounds=3", "--benchmarks=fillrandom"], ["firn"]),
    ("recovery of a log of 1 GiB", ["--rounds=3", "--recovery-bytes=1G", "--benchmarks=recovery"],
     LOCAL),
]

SETS = {"tour": TOUR, "usual": USUAL, "full": FULL, "write-path": WRITE_PATH,
        "read-path": READ_PATH}
