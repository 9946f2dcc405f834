"""Plots in SVG from a JSON document of firn-bench, drawn by hand: no library is needed."""

from html import escape
from math import ceil, log10

from report_markdown import Results, human

COLORS = {"firn": "#0b6fb8", "rocksdb": "#b8860b", "leveldb": "#6a994e", "lmdb": "#9d4edd",
          "wiredtiger": "#c1121f", "wiredtiger-lsm": "#e07a5f", "sqlite": "#6c757d", "bare": "#999"}
PANEL_WIDTH, PANEL_HEIGHT = 300, 190
LEFT, RIGHT, TOP, BOTTOM = 52, 18, 26, 30
COLUMNS = 3
TIME_NAMES = {1: "10 ns", 2: "100 ns", 3: "1 us", 4: "10 us", 5: "100 us", 6: "1 ms", 7: "10 ms",
              8: "100 ms", 9: "1 s", 10: "10 s"}  # by power of ten of nanoseconds


class Drawing:
    def __init__(self, title, engines, panels, columns=COLUMNS, panel_width=PANEL_WIDTH,
                 colors=COLORS):
        self.columns, self.panel_width = columns, panel_width
        self.width = columns * panel_width
        self.head = 52
        rows = ceil(panels / columns)
        self.height = self.head + rows * PANEL_HEIGHT
        self.parts = []
        self.text(10, 20, title, size=15, weight="bold")
        x = 10
        for engine in engines:
            self.box(x, 32, 10, 10, colors.get(engine, "#333"))
            self.text(x + 14, 41, engine)
            x += 28 + 7 * len(engine)

    def text(self, x, y, text, size=11, anchor="start", weight="normal"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
                          f'font-weight="{weight}">{escape(str(text))}</text>')

    def box(self, x, y, width, height, color):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" '
                          f'height="{max(height, 0):.1f}" fill="{color}"/>')

    def line(self, points, color, width=1.6):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" '
                          f'stroke-width="{width}"/>')

    def panel(self, index, title):
        """The frame of a plot; gives its inner rectangle (left, top, width, height)."""
        left = index % self.columns * self.panel_width + LEFT
        top = self.head + index // self.columns * PANEL_HEIGHT + TOP
        width = self.panel_width - LEFT - RIGHT
        height = PANEL_HEIGHT - TOP - BOTTOM
        self.text(left, top - 8, title, size=12, weight="bold")
        self.line([(left, top), (left, top + height), (left + width, top + height)], "#888", 1)
        return left, top, width, height

    def write(self, path):
        path.write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>\n'
            + "\n".join(self.parts) + "\n</svg>\n")


def bars(drawing, index, title, values):
    """One bar per engine; values are (engine, number, label)."""
    left, top, width, height = drawing.panel(index, title)
    most = max((number for _, number, _ in values), default=0) or 1
    step = width / max(len(values), 1)
    for i, (engine, number, label) in enumerate(values):
        size = height * number / most
        x = left + i * step + step * 0.15
        drawing.box(x, top + height - size, step * 0.7, size, COLORS.get(engine, "#333"))
        drawing.text(x + step * 0.35, top + height + 13, label, size=10, anchor="middle")


def throughput_plot(results):
    labels = list(results.labels())
    drawing = Drawing("Throughput: operations per second", results.engines, len(labels))
    for index, (position, label) in enumerate(labels):
        values = []
        for engine in results.engines:
            rate = results.median_of(position, engine, lambda r: r["ops_per_second"])
            if rate is not None:
                values.append((engine, rate, human(rate)))
        bars(drawing, index, label, values)
    return drawing


def amplification_plot(results):
    panels = []
    for position, label in results.labels():
        for title, value in (
                ("write amplification", lambda r: r["write_amplification"] or None),
                ("space amplification", lambda r: r["disk_bytes"] / r["live_bytes"]
                 if r["user_bytes_written"] and r["live_bytes"] else None)):
            values = []
            for engine in results.engines:
                number = results.median_of(position, engine, value)
                if number is not None:
                    values.append((engine, number, f"{number:.2f}"))
            if values:
                panels.append((f"{label}: {title}", values))
    drawing = Drawing("Amplification", results.engines, len(panels))
    for index, (title, values) in enumerate(panels):
        bars(drawing, index, title, values)
    return drawing


NINES = 4  # the axis ends at 99.99 %


def nines_of(share):
    return min(-log10(max(1 - share, 10 ** -NINES)), NINES)


def latency_panel(drawing, index, label, curves):
    """Cumulative distributions: time to the right, in powers of ten, the share of operations done
    upwards, in nines."""
    left, top, width, height = drawing.panel(index, label)
    points = [ns for _, cdf in curves for ns, share in cdf if ns > 0 and nines_of(share) < NINES]
    low = int(log10(max(min(points, default=10), 10)))
    high = max(ceil(log10(max(points, default=100))), low + 1)
    for power in range(low, high + 1):
        x = left + width * (power - low) / (high - low)
        drawing.text(x, top + height + 13, TIME_NAMES.get(power, ""), size=9, anchor="middle")
        drawing.line([(x, top), (x, top + height)], "#eeeeee", 1)
    for name, share in (("50%", 0.5), ("90%", 0.9), ("99%", 0.99), ("99.9%", 0.999),
                        ("99.99%", 0.9999)):
        y = top + height * (1 - nines_of(share) / NINES)
        drawing.line([(left, y), (left + width, y)], "#eeeeee", 1)
        drawing.text(left - 4, y + 4, name, size=9, anchor="end")
    for engine, cdf in curves:
        line = [(left + width * min(max((log10(max(ns, 1)) - low) / (high - low), 0), 1),
                 top + height * (1 - nines_of(share) / NINES)) for ns, share in cdf]
        drawing.line(line, COLORS.get(engine, "#333"))


def latency_plot(results):
    panels = []
    for position, label in results.labels():
        curves = []
        for engine in results.engines:
            rounds = results.rounds(position, engine)
            if rounds:
                last = rounds[-1]
                latency = last.get("read_latency") or last.get("write_latency")
                if latency:
                    curves.append((engine, latency["cdf"]))
        if curves:
            panels.append((label, curves))
    drawing = Drawing("Latency: share of operations done within (last round)", results.engines,
                      len(panels))
    for index, (label, curves) in enumerate(panels):
        latency_panel(drawing, index, label, curves)
    return drawing


def time_axis(drawing, left, top, width, height, duration):
    for share in (0, 0.5, 1):
        drawing.text(left + width * share, top + height + 13, f"{duration * share:.3g} s", size=9,
                     anchor="end" if share == 1 else "middle")


def rate_panel(drawing, index, label, traces):
    """Operations per second over time."""
    left, top, width, height = drawing.panel(index, label)
    duration = max(seconds * len(counts) for _, seconds, counts, _ in traces)
    most = max(max(counts) / seconds for _, seconds, counts, _ in traces) or 1
    time_axis(drawing, left, top, width, height, duration)
    for share in (0.5, 1):
        drawing.line([(left, top + height * (1 - share)), (left + width, top + height * (1 - share))],
                     "#e4e4e4", 1)
        drawing.text(left - 4, top + height * (1 - share) + 4, human(most * share), size=9,
                     anchor="end")
    for engine, seconds, counts, _ in traces:
        drawing.line([(left + width * (i + 1) * seconds / duration,
                       top + height * (1 - count / seconds / most))
                      for i, count in enumerate(counts)], COLORS.get(engine, "#333"), 1.3)


def stall_panel(drawing, index, label, traces):
    """The slowest operation of each interval, over a logarithmic axis of time."""
    left, top, width, height = drawing.panel(index, label + ": slowest operation")
    duration = max(seconds * len(counts) for _, seconds, counts, _ in traces)
    slowest = [ns for _, _, _, stalls in traces for ns in stalls if ns > 0]
    low = int(log10(min(slowest)))
    high = max(ceil(log10(max(slowest))), low + 1)
    time_axis(drawing, left, top, width, height, duration)
    for power in range(low, high + 1):
        y = top + height * (high - power) / (high - low)
        drawing.line([(left, y), (left + width, y)], "#e4e4e4", 1)
        drawing.text(left - 4, y + 4, TIME_NAMES.get(power, ""), size=9, anchor="end")
    for engine, seconds, _, stalls in traces:
        for i, ns in enumerate(stalls):
            if ns > 0:
                drawing.box(left + width * (i + 1) * seconds / duration - 1.5,
                            top + height * (high - log10(ns)) / (high - low) - 1.5, 3, 3,
                            COLORS.get(engine, "#333"))


def trace_plot(results):
    """Throughput on the left, what took longest in the same moments on the right."""
    rows = []
    for position, label in results.labels():
        traces = []
        for engine in results.engines:
            rounds = results.rounds(position, engine)
            if rounds and len(rounds[-1]["trace"]) > 1:
                last = rounds[-1]
                traces.append((engine, last["trace_ms"] / 1e3, last["trace"],
                               last.get("trace_slowest_ns", [])))
        if traces:
            rows.append((label, traces))
    drawing = Drawing("Throughput (operations per second) and stalls over time, last round",
                      results.engines, 2 * len(rows), columns=2, panel_width=450)
    for row, (label, traces) in enumerate(rows):
        rate_panel(drawing, 2 * row, label, traces)
        if any(ns > 0 for _, _, _, stalls in traces for ns in stalls):
            stall_panel(drawing, 2 * row + 1, label, traces)
    return drawing


def write_plots(document, out, name):
    """Gives (title, file name) of what was written into `out`."""
    results = Results(document)
    written = []
    for title, suffix, draw in (("throughput", "throughput", throughput_plot),
                                ("latency", "latency", latency_plot),
                                ("throughput and stalls over time", "trace", trace_plot),
                                ("amplification", "amplification", amplification_plot)):
        drawing = draw(results)
        if drawing.height > drawing.head:
            file = f"{name}-{suffix}.svg"
            drawing.write(out / file)
            written.append((title, file))
    return written
