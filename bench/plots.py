#!/usr/bin/python3
"""Draws what run.py found: ratios.svg and latency.svg. Debian's own Python, because Debian's matplotlib is in it.

usage: plots.py RESULTS.json FOLDER
"""
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))
from results import DOVECOTS, figures, tls_text  # noqa: E402

COLOURS = {"limit": "#9a9a9a", "pier": "#1b6ca8", "dovecot": "#d1793b"}
TEXTS = {"limit": "limit", "pier": "Pier", "dovecot": "Dovecot"}
# Texts stay texts, and the same numbers give the same file.
pyplot.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "pier", "font.family": "sans-serif", "font.size": 9,
                        "axes.spines.top": False, "axes.spines.right": False})


def save(figure, path):
    figure.savefig(path, metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    pyplot.close(figure)


def label(load, tls, connections):
    return f"{load}, {tls_text(load, tls)}, {connections}"


def ratios(report, path):
    """CPU time of an operation, in times the limit's."""
    found = [figure for figure in figures(report) if figure.unit == "µs CPU" and figure.limit and figure.pier]
    canvas, axes = pyplot.subplots(figsize=(8, 0.42 * len(found) + 1))
    places = range(len(found))
    for offset, name in ((-0.19, "pier"), (0.19, "dovecot")):
        values = [(getattr(figure, name) or figure.limit) / figure.limit for figure in found]
        bars = axes.barh([place + offset for place in places], [value - 1 for value in values], 0.36, left=1, color=COLOURS[name], label=TEXTS[name])
        axes.bar_label(bars, [f"{value:.2f}" if value < 10 else f"{value:.0f}" for value in values], padding=3, fontsize=8)
    axes.axvline(1, color=COLOURS["limit"], label=TEXTS["limit"])
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.minorticks_off()
    axes.set_yticks(places, [label(figure.name, figure.tls, figure.connections) for figure in found])
    axes.invert_yaxis()
    axes.set_xlabel("CPU time of an operation, in times the limit's (log scale)")
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    axes.margins(y=0.01)
    save(canvas, path)


def latency(report, path):
    """p50 to p99 of each server, with p99.9 as a tick."""
    rows = [row for row in report["rows"] if all("latency_us" in found for found in row["servers"].values()) and row["connections"] < 1000
            and not row["load"].startswith("bigbox")]
    canvas, axes = pyplot.subplots(figsize=(8, 0.5 * len(rows) + 1))
    for place, row in enumerate(rows):
        rivals = [row["servers"][name] for name in DOVECOTS if name in row["servers"]]
        servers = {"limit": row["servers"].get("limit"), "pier": row["servers"].get("pier"),
                   "dovecot": min(rivals, key=lambda found: found["server_cpu_us_per_operation"], default=None)}
        for offset, (name, found) in zip((-0.22, 0, 0.22), servers.items()):
            if found:
                latencies = found["latency_us"]
                y, first = place + offset, place == 0
                axes.plot([latencies["p50"], latencies["p99"]], [y, y], color=COLOURS[name], linewidth=3, label=TEXTS[name] if first else None)
                axes.plot([latencies["p99.9"]], [y], marker="|", color=COLOURS[name])
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [label(row["load"], row["tls"], row["connections"]) for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("µs, from p50 to p99; the tick is p99.9 (log scale)")
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    axes.margins(y=0.01)
    save(canvas, path)


def main():
    report = json.loads(Path(sys.argv[1]).read_text())
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    ratios(report, folder / "ratios.svg")
    latency(report, folder / "latency.svg")


if __name__ == "__main__":
    main()
