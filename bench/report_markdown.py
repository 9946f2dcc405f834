"""Tables in Markdown from a JSON document of firn-bench."""

from collections import defaultdict
from statistics import median

MIB = 1 << 20
CHANGING = ("fill", "overwrite", "compact", "delete", "flush", "drain")  # how workloads begin that do


class Results:
    """The results of one document by position of the benchmark, engine and round."""

    def __init__(self, document):
        self.document = document
        self.engines = list(document["engines"])
        self.baseline = document["config"]["baseline"]
        self.names = document["config"]["benchmarks"]
        self.cells = defaultdict(dict)  # (position, engine) -> {round: result}
        for result in document["results"]:
            self.cells[result["position"], result["engine"]][result["round"]] = result

    def labels(self):
        """(position, label) of each benchmark; one that is run again says what it came after, and
        is numbered where that is not enough."""
        seen = []
        for position, name in enumerate(self.names):
            if self.names.count(name) > 1:
                before = [n for n in self.names[:position] if n.startswith(CHANGING)]
                name += f" after {before[-1]}" if before else ""
            seen.append(name)
            nth = seen.count(name)
            yield position, f"{name} ({nth})" if nth > 1 else name

    def rounds(self, position, engine):
        return list(self.cells[position, engine].values())

    def median_of(self, position, engine, value):
        """The median over the rounds of value(result); None where there is none."""
        values = [value(result) for result in self.rounds(position, engine)]
        values = [v for v in values if v is not None]
        return median(values) if values else None

    def ratios(self, position, engine):
        """(ratios to the baseline, one per round; what differs, or None)."""
        ratios = []
        for number, mine in self.cells[position, engine].items():
            base = self.cells[position, self.baseline].get(number)
            if not base or not base["ops_per_second"]:
                continue
            if not (mine["free_running"] and base["free_running"]):
                for field in ("operations", "found", "checksum"):
                    if mine[field] != base[field]:
                        return [], f"{field}: {mine[field]} and {base[field]}"
            ratios.append(mine["ops_per_second"] / base["ops_per_second"])
        return ratios, None


def human(value):
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:.3g}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def throughput_cell(results, position, engine, differences):
    rate = results.median_of(position, engine, lambda r: r["ops_per_second"])
    if rate is None:
        return "-"
    text = human(rate)
    if engine == results.baseline:
        return text
    ratios, difference = results.ratios(position, engine)
    if difference:
        differences.append(f"{engine}, {results.names[position]}: {difference}")
        return f"{text} (no ratio: differs)"
    if not ratios:
        return text
    return f"{text} = **{median(ratios):.2f}x** ({min(ratios):.2f}-{max(ratios):.2f})"


def throughput_table(document):
    results = Results(document)
    differences = []
    head = ["operations/s"] + results.engines
    rows = [[label] + [throughput_cell(results, position, engine, differences)
                       for engine in results.engines]
            for position, label in results.labels()]
    text = table(head, rows)
    text += (f"\nMedians of {document['config']['rounds']} interleaved rounds; x: median of the "
             f"ratios to {results.baseline} within a round (smallest-largest).\n")
    for difference in differences:
        text += f"\nNo ratio, the results differ: {difference}\n"
    return text


def latency_of(result, quantile):
    """In microseconds, of what the benchmark is about: reads where there are any."""
    latency = result.get("read_latency") or result.get("write_latency")
    return latency[quantile] / 1e3 if latency else None


def latency_table(results):
    quantiles = ["p50_ns", "p99_ns", "p999_ns", "max_ns"]
    rows = []
    for position, label in results.labels():
        row = [label]
        for engine in results.engines:
            values = [results.median_of(position, engine, lambda r, q=q: latency_of(r, q))
                      for q in quantiles]
            row.append(" / ".join("-" if v is None else f"{v:.3g}" for v in values))
        if any(cell != "- / - / - / -" for cell in row[1:]):
            rows.append(row)
    return table(["p50 / p99 / p99.9 / max, us"] + results.engines, rows)


def cost_cell(results, position, engine):
    def of(value):
        return results.median_of(position, engine, value)

    operations = of(lambda r: r["operations"])
    if not operations:
        return "-"
    worker = of(lambda r: r["worker_cpu_ns"] / r["operations"] / 1e3)
    usage = "usage_and_drain"
    cpu = of(lambda r: (r[usage]["cpu_user_ns"] + r[usage]["cpu_system_ns"]) / r["operations"] / 1e3)
    calls = of(lambda r: (r["usage"]["write_calls"] + r["usage"]["read_calls"]) / r["operations"])
    faults = of(lambda r: r["usage"]["minor_faults"] / r["operations"])
    return f"{worker:.2f} / {cpu:.2f} / {calls:.2f} / {faults:.2f}"


def cost_table(results):
    rows = [[label] + [cost_cell(results, position, engine) for engine in results.engines]
            for position, label in results.labels()]
    return table(["worker us / all us / reads+writes / faults, per op"] + results.engines, rows)


def space_cell(results, position, engine):
    def of(value):
        return results.median_of(position, engine, value)

    written = of(lambda r: r["user_bytes_written"])
    if not written:
        return "-"
    live = of(lambda r: r["live_bytes"])
    space = f"{of(lambda r: r['disk_bytes']) / live:.2f}" if live else "-"
    return (f"{of(lambda r: r['write_amplification']):.2f} / {space} / "
            f"{of(lambda r: r['drain_seconds']):.1f} / "
            f"{of(lambda r: r['debt_bytes']) / MIB:.0f} / "
            f"{of(lambda r: r['rss_anon_peak']) / MIB:.0f}")


def space_table(results):
    rows = []
    for position, label in results.labels():
        row = [label] + [space_cell(results, position, engine) for engine in results.engines]
        if any(cell != "-" for cell in row[1:]):
            rows.append(row)
    return table(["write amp / space amp / drain s / debt MiB / anon MiB"] + results.engines, rows)


def proof_table(results):
    rows = []
    for position, label in results.labels():
        row = [label]
        for engine in results.engines:
            seen = {(r["found"], r["checksum"]) for r in results.rounds(position, engine)}
            row.append("; ".join(f"{found} `{checksum}`" for found, checksum in sorted(seen)) or "-")
        if any("`" in cell and not cell.startswith("0 ") for cell in row[1:]):
            rows.append(row)
    return table(["keys found, checksum of values"] + results.engines, rows)


def waits_text(counters):
    """What kept Firn's writers waiting: cause, how often, altogether, the longest."""
    waits = [(name.removeprefix("waits: "), wait) for name, wait in counters.items()
             if name.startswith("waits: ") and wait["count"]]
    return "; ".join(f"{cause} {human(wait['count'])} times, {wait['ns'] / 1e9:.3g} s, "
                     f"longest {wait['max_ns'] / 1e6:.3g} ms" for cause, wait in waits)


def waiting_cell(results, position, engine):
    def of(value):
        return results.median_of(position, engine, value)

    if not of(lambda r: r["operations"]):
        return "-"
    waits = of(lambda r: 1e3 * r["usage"]["waits"] / r["operations"])
    preemptions = of(lambda r: 1e3 * r["usage"]["preemptions"] / r["operations"])
    stall = of(lambda r: r["counters"].get("stall_ns"))
    text = f"{waits:.3g} / {preemptions:.3g}"
    return text if stall is None else f"{text} / {stall / 1e9:.3g}"


def waiting_table(results):
    rows = [[label] + [waiting_cell(results, position, engine) for engine in results.engines]
            for position, label in results.labels()]
    text = table(["waits / preemptions per 1000 op (/ its own count of stalled s)"] + results.engines,
                 rows)
    for position, label in results.labels():
        rounds = results.rounds(position, "firn")
        waits = waits_text(rounds[-1]["counters"]) if rounds else ""
        if waits:
            text += f"\nFirn's writers until the end of {label} (last round): {waits}.\n"
    return text


def options_text(document):
    text = ""
    for name, engine in document["engines"].items():
        text += f"\n{name} {engine['version']}:\n\n```\n{engine['options'].rstrip()}\n```\n"
    return text


def parts_section(document):
    """The table of a run of firn-micro."""
    firsts = {}
    rows = []
    for part in document["parts"]:
        rate = median(part["per_second"])
        base = firsts.setdefault(part["what"], part["per_second"])
        ratios = [mine / other for mine, other in zip(part["per_second"], base)]
        rows.append([part["what"], part["who"], human(rate), f"{1e9 / rate:.3g}",
                     f"{median(ratios):.2f}" if base is not part["per_second"] else ""])
    return f"\n## {document.get('title', 'parts')}\n\n" + table(
        ["what", "who", "per second", "ns each", "x the first"], rows)


def report_head(document):
    machine = document["machine"]
    return (f"# Firn and its peers\n\n{machine['date']}, {machine['cores']} x {machine['cpu']}, "
            f"{machine['memory_bytes'] / (1 << 30):.0f} GiB, {machine['kernel']}, "
            f"{machine['file_system']}\n")


def report_section(name, document, plots):
    results = Results(document)
    config = document["config"]
    text = f"\n## {document.get('title', name)}\n\n"
    text += (f"{human(config['keys'])} {config['key_shape']} keys of {config['key_bytes']} bytes, "
             f"values of {config['value_bytes']} bytes, memtable {config['memtable_bytes'] // MIB} "
             f"MiB, cache {config['cache_bytes'] // MIB} MiB, blocks {config['block_bytes']} B, "
             f"{config['filter_bits']} filter bits, compression {config['compression']}.\n\n")
    text += throughput_table(document) + "\n"
    for title, plot in plots:
        text += f"![{title}]({plot})\n"
    text += "\n### Latency\n\n" + latency_table(results)
    text += ("\n### Cost per operation\n\nTime on a processor of the clients alone, and of the whole "
             "process with its background work; read and write calls; page faults.\n\n")
    text += cost_table(results)
    text += ("\n### Waiting\n\nVoluntary and involuntary context switches of the whole process, and "
             "what the engine itself says about writers that were held up since it was opened.\n\n")
    text += waiting_table(results)
    text += ("\n### Writing\n\nWrite amplification: bytes sent towards the device, background work "
             "included, per byte of keys and values. Space: bytes on disk per live byte, after the "
             "drain. Debt: compaction due when the last operation returned.\n\n")
    text += space_table(results)
    text += "\n### What was read\n\n" + proof_table(results)
    text += "\n### Options in effect\n" + options_text(document)
    return text
