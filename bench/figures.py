"""The figures that were promised, beside those that were reached.

A Figure names one number of one set, how it is found in the results, and what it should be: at least,
and at best. A table of them is printed behind the comparison it belongs to. They are goals written
down, not tests: a time says too much about the machine to fail anything.
"""

from statistics import median
from typing import Callable, NamedTuple, Optional

from report_markdown import Results, human, table

PEERS = ["rocksdb", "leveldb", "lmdb", "bare"]


class Measured:
    """What a comparison gave: its sections by name, and the rows of firn-micro."""

    def __init__(self, documents):
        self.sections = {name: Results(document) for name, document in documents
                         if "results" in document}
        self.parts = {}
        for _, document in documents:
            for row in document.get("parts", []):
                self.parts[row["what"], row["who"]] = row["per_second"]

    def results(self, section, label, engine):
        """{round: result} of the benchmark with that label; empty where there is none."""
        results = self.sections.get(section)
        for position, name in results.labels() if results else []:
            if name == label:
                return results.cells[position, engine]
        return {}

    def differs(self, section, label, engine):
        results = self.sections.get(section)
        for position, name in results.labels() if results else []:
            if name == label:
                return results.ratios(position, engine)[1]
        return None


class Figure(NamedTuple):
    what: str
    unit: str
    rounds: Callable  # (Measured, engine) -> {round: number}
    at_least: Optional[float] = None
    aim: Optional[float] = None
    less: bool = False  # the smaller, the better
    relative: bool = False  # what should be reached is the ratio to RocksDB
    gather: Callable = median  # of the rounds
    places: tuple = ()  # (section, label) it comes from: no ratio where engines read other values


# --- how a number is found ---


def of(section, label, value):
    """value(result) of each round."""
    def rounds(measured, engine):
        found = {number: value(result)
                 for number, result in measured.results(section, label, engine).items()}
        return {number: v for number, v in found.items() if v is not None}
    return rounds


def both(first, second, join):
    """join(a, b) of two numbers of the same round."""
    def rounds(measured, engine):
        left, right = first(measured, engine), second(measured, engine)
        return {number: join(left[number], right[number]) for number in left if number in right}
    return rounds


def part(what, who, value=lambda per_second: per_second):
    """value(per second) of each round of a part of Firn alone."""
    def rounds(measured, engine):
        numbers = measured.parts.get((what, who), []) if engine == "firn" else []
        return {number: value(v) for number, v in enumerate(numbers)}
    return rounds


def part_ns(what, who):
    return part(what, who, lambda per_second: 1e9 / per_second)


def result_rate(result):
    return result["ops_per_second"]


def result_sustained_rate(result):
    return result["operations"] / (result["seconds"] + result["drain_seconds"])


def result_latency(kind, quantile):
    def value(result):
        latency = result.get(f"{kind}_latency")
        return latency[quantile] if latency else None
    return value


def result_space(bytes_of):
    def value(result):
        return result[bytes_of] / result["live_bytes"] if result["live_bytes"] else None
    return value


def result_steadiness(result):
    """What an operation takes in the last fifth of the time, of what it takes in the first."""
    fifth = len(result["trace"]) // 5
    last = sum(result["trace"][-fifth:]) if fifth else 0
    return sum(result["trace"][:fifth]) / last if last else None


def result_commits_per_sync(result):
    syncs = result["counters"].get("log_syncs")
    return result["operations"] / syncs if syncs else None


def result_calls(result):
    usage = result["usage"]
    return (usage["write_calls"] + usage["read_calls"]) / result["operations"]


def figure(what, unit, section, label, value, at_least=None, aim=None, **more):
    return Figure(what, unit, of(section, label, value), at_least, aim, places=((section, label),),
                  **more)


def rate(what, section, label, at_least=None, aim=None, **more):
    return figure(what, "/s", section, label, result_rate, at_least, aim, **more)


# --- judging and printing ---


def shown(value, unit):
    if value is None:
        return ""
    if unit == "ns":
        for limit, name in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
            if value >= limit:
                return f"{value / limit:.3g} {name}"
        return f"{value:.3g} ns"
    if unit == "B/s":
        return human(value) + "B/s"
    if unit == "x":
        return f"{value:.2f}"
    return human(value) + unit


def verdict(figure, value):
    if value is None or figure.at_least is None and figure.aim is None:
        return ""
    sign = -1 if figure.less else 1
    for goal, word in ((figure.aim, "**aim**"), (figure.at_least, "met")):
        if goal is not None and sign * value >= sign * goal:
            return word
    return "short"


def ratio_of(measured, figure):
    """(median, smallest, largest) of Firn's ratios to RocksDB within a round, or what forbids one."""
    for place in figure.places:
        if measured.differs(*place, "firn"):
            return "differs"
    mine, base = figure.rounds(measured, "firn"), figure.rounds(measured, "rocksdb")
    ratios = [mine[number] / base[number] for number in mine if base.get(number)]
    return (median(ratios), min(ratios), max(ratios)) if ratios else None


def figure_row(measured, figure, peers):
    numbers = figure.rounds(measured, "firn")
    if not numbers:
        return None
    value = figure.gather(numbers.values())
    ratio = ratio_of(measured, figure)
    judged, unit = value, figure.unit
    if figure.relative:
        judged, unit = ratio[0] if isinstance(ratio, tuple) else None, "x"
    prefix, suffix = "<= " if figure.less else "", " x RocksDB" if figure.relative else ""
    row = [figure.what, shown(value, figure.unit)]
    row += [prefix + shown(goal, unit) + suffix if goal is not None else ""
            for goal in (figure.at_least, figure.aim)]
    row.append(verdict(figure, judged))
    if peers:
        row.append("{:.2f} ({:.2f}-{:.2f})".format(*ratio) if isinstance(ratio, tuple)
                   else ratio or "")
    for peer in peers:
        numbers = figure.rounds(measured, peer)
        row.append(shown(figure.gather(numbers.values()), figure.unit) if numbers else "")
    return row


def settings_table(title, columns, measured):
    """A row for each section, Firn's figures as columns: (heading, unit, label, value)."""
    rows = []
    for name, results in measured.sections.items():
        row = [results.document.get("title", name).split(":")[0]]
        for _, unit, label, value in columns:
            numbers = of(name, label, value)(measured, "firn")
            row.append(shown(median(numbers.values()), unit) if numbers else "")
        rows.append(row)
    return f"## {title}\n\n" + table(["setting"] + [column[0] for column in columns], rows)


def figures_table(title, figures, measured):
    """The table in Markdown; empty where nothing of it was measured."""
    peers = [peer for peer in PEERS
             if any(figure.rounds(measured, peer) for figure in figures)]
    rows = [row for row in (figure_row(measured, figure, peers) for figure in figures) if row]
    if not rows:
        return ""
    head = ["what", "Firn", "at least", "aim", ""]
    if peers:
        head += ["x RocksDB"] + peers
    return f"## {title}\n\n" + table(head, rows)
