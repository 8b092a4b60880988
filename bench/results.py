"""What run.py found, as figures with their bars, and as a page for people. The bars are ratios within one run: CPU time an operation for what
costs CPU, messages a second for deliveries."""
from pier_load import number

DOVECOTS = ("mdbox", "sdbox", "maildir")
COST_BARS = {       # (load, TLS): Pier costs at most so many times what the limit costs
    ("poll", "none"): 1.6, ("session", "none"): 1.6, ("poll", "implicit"): 1.25, ("session", "implicit"): 1.25,
    ("session, RSA", "implicit"): 1.25, ("retr", "none"): 1.2, ("retr", "implicit"): 1.2,
}
RESUMED_TIMES_CHEAPER = 4
DRAIN_TIMES_CHEAPER = 10
DELIVER_TIMES_DOVECOT, DELIVER_OF_LIMIT, DELIVER_CONNECTIONS = 12, 0.5, (16, 64)
IDLE_KIB = {"none": 3, "implicit": 14}
HELD_TIMES = 1.5            # what "keep their p99" means on a machine that is not quiet
BIG_FIRST_MS, BIG_AGAIN_CPU_MS, BIG_OCTETS = 60, 10, 40
START_SECONDS = 2


class Figure:
    """One number of each server, and its bars: a text, or what makes it of the figure, and what says whether it is kept."""

    def __init__(self, row, unit, of, more_is_better=False, bars=()):
        self.name, self.tls, self.connections, self.unit, self.more_is_better = row["load"], row["tls"], row["connections"], unit, more_is_better
        self.values = {name: value for name, found in row["servers"].items() if (value := of(found)) is not None}
        self.limit, self.pier = self.values.get("limit"), self.values.get("pier")
        rivals = {name: value for name, value in self.values.items() if name in DOVECOTS}
        best = (max if more_is_better else min)(rivals, key=rivals.get, default=None)
        self.dovecot, self.storage = rivals.get(best), best
        self.bars = [(text(self) if callable(text) else text, kept(self)) for text, kept in bars] if self.pier is not None else []

    @property
    def to_limit(self):
        return self.pier / self.limit if self.pier and self.limit else None

    @property
    def to_dovecot(self):
        """How many times better Pier is."""
        if not self.pier or not self.dovecot:
            return None
        return self.pier / self.dovecot if self.more_is_better else self.dovecot / self.pier


def tls_text(load, tls):
    handshakes = load in ("poll", "session", "session, RSA")
    return {"none": "plain", "implicit": "TLS, full handshakes" if handshakes else "TLS", "resumed": "TLS, resumed", "": ""}[tls]


def compared(value, holds):
    """Kept, not kept, or not known."""
    return None if value is None else holds(value)


def cpu(found):
    return found.get("server_cpu_us_per_operation")


def figures_of(row, full_handshakes):
    load, tls, connections = row["load"], row["tls"], row["connections"]
    if load == "deliver":
        bars = []
        if connections in DELIVER_CONNECTIONS:
            bars = [(f"≥ {DELIVER_TIMES_DOVECOT} × Dovecot", lambda f: compared(f.to_dovecot, lambda r: r >= DELIVER_TIMES_DOVECOT)),
                    (f"≥ {DELIVER_OF_LIMIT} × limit", lambda f: compared(f.to_limit, lambda r: r >= DELIVER_OF_LIMIT))]
        return [Figure(row, "messages/s", lambda found: found["operations_per_s"], more_is_better=True, bars=bars),
                Figure(row, "µs CPU", cpu), Figure(row, "messages a sync", lambda found: found.get("messages_per_sync"), more_is_better=True)]
    if load == "idle":
        most = IDLE_KIB[tls]
        return [Figure(row, "KiB each", lambda found: found["server_pss_octets_per_connection"] / 1024,
                       bars=[(f"≤ {most} KiB", lambda f: f.pier <= most)])]
    if " beside " in load:
        compared_to_alone = Figure(row, "p99 ÷ p99 alone", lambda found: found["p99_us"] / found["p99_us_alone"],
                       bars=[(f"≤ {HELD_TIMES}", lambda f: f.pier <= HELD_TIMES)])
        return [compared_to_alone, Figure(row, "p99, ms", lambda found: found["p99_us"] / 1000)]
    if load == "bigbox, first":
        return [Figure(row, "ms", lambda found: found["latency_us"]["p50"] / 1000, bars=[(f"≤ {BIG_FIRST_MS} ms", lambda f: f.pier <= BIG_FIRST_MS)])]
    if load == "bigbox, again":
        return [Figure(row, "ms", lambda found: found["latency_us"]["p50"] / 1000),
                Figure(row, "ms CPU", lambda found: cpu(found) / 1000, bars=[(f"≤ {BIG_AGAIN_CPU_MS} ms", lambda f: f.pier <= BIG_AGAIN_CPU_MS)]),
                Figure(row, "octets of memory a message", lambda found: found["memory_octets_per_message"],
                       bars=[(f"≤ {BIG_OCTETS}", lambda f: f.pier <= BIG_OCTETS)])]
    if load.startswith("start "):
        return [Figure(row, "s", lambda found: found["seconds"], bars=[(f"≤ {START_SECONDS} s", lambda f: f.pier <= START_SECONDS)])]
    bars = []
    if (load, tls) in COST_BARS:
        most = COST_BARS[load, tls]
        bars = [(f"≤ {most} × limit", lambda f: compared(f.to_limit, lambda r: r <= most))]
    if load == "drain":
        bars = [(lambda f: f"≤ Dovecot ÷ {DRAIN_TIMES_CHEAPER}" + (f" (limit: ÷ {times(f.dovecot / f.limit)})" if f.dovecot and f.limit else ""), lambda f: compared(f.to_dovecot, lambda r: r >= DRAIN_TIMES_CHEAPER))]
    if tls == "resumed" and load.startswith("session"):
        full = full_handshakes["pier"].get((load, connections))
        full_limit = full_handshakes["limit"].get((load, connections))
        bars = [(lambda f: f"≤ full ÷ {RESUMED_TIMES_CHEAPER}" + (f" (limit: ÷ {times(full_limit / f.limit)})" if full_limit and f.limit else ""), lambda f: compared(full, lambda cost: f.pier <= cost / RESUMED_TIMES_CHEAPER))]
    return [Figure(row, "µs CPU", cpu, bars=bars)]


def figures(report):
    full = {server: {(row["load"], row["connections"]): cpu(row["servers"][server])
                     for row in report["rows"] if row["tls"] == "implicit" and server in row["servers"]} for server in ("limit", "pier")}
    return [figure for row in report["rows"] for figure in figures_of(row, full)]


def bar_texts(figure):
    return [f"{text}: {'not known' if kept is None else 'kept' if kept else '**not kept**'}" for text, kept in figure.bars]


def row_text(row):
    """For the terminal."""
    lines = []
    for figure in figures_of(row, {"pier": {}, "limit": {}}):
        values = ", ".join(f"{name} {number(value)}" for name, value in figure.values.items())
        lines.append(f"{figure.name} {figure.tls} {figure.connections or ''}: {values} {figure.unit}; {'; '.join(bar_texts(figure))}")
    return "\n".join(lines)


def table(headings, rows):
    return "\n".join(["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings), *("| " + " | ".join(cells) + " |" for cells in rows)])


def times(ratio):
    return "" if ratio is None else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def cost_table(found):
    rows = []
    for figure in found:
        dovecot = f"{number(figure.dovecot)}{' (' + figure.storage + ')' if figure.dovecot else ''}"
        rows.append([figure.name, tls_text(figure.name, figure.tls), f"{figure.connections:,}" if figure.connections else "", figure.unit, number(figure.limit),
                     number(figure.pier), dovecot, times(figure.to_limit), times(figure.to_dovecot), "; ".join(bar_texts(figure))])
    return table(["load", "", "conn.", "unit", "limit", "Pier", "Dovecot", "Pier ÷ limit", "better than Dovecot", "bar"], rows)


def latency_table(report):
    rows = []
    for row in report["rows"]:
        if "operations_per_s" not in next(iter(row["servers"].values())) or row["load"].startswith(("idle", "bigbox")):
            continue
        cells = [row["load"], tls_text(row["load"], row["tls"]), str(row["connections"])]
        for name in ("limit", "pier", *DOVECOTS):
            found = row["servers"].get(name)
            if found:
                latency = found["latency_us"]
                cells.append(f"{number(found['operations_per_s'])}/s; {number(latency['p50'])}, {number(latency['p99'])}, {number(latency['p99.9'])}")
            elif any(name in other["servers"] for other in report["rows"]):
                cells.append("")
        rows.append(cells)
    names = [name for name in ("limit", "pier", *DOVECOTS) if any(name in row["servers"] for row in report["rows"])]
    return table(["load", "", "conn.", *names], rows)


def write(report, path):
    found = figures(report)
    bars = [kept for figure in found for _, kept in figure.bars]
    machine, options = report["machine"], report["options"]
    versions = ", ".join(f"{'Pier' if name == 'pier' else 'Dovecot'} {about['version'].split()[1 if name == 'pier' else 0]} ({name})"
                         for name, about in report["about"].items() if "version" in about).replace(" (pier)", "")
    folder = next((about["folder_on"] for about in report["about"].values()), "?")
    path.write_text(f"""# What `make bench` found

One run; [README.md](README.md) says what the loads are and how to read this. {machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']},
{folder}; load average before the run {machine['load_average_before']:.1f}. {versions}. Each number is the median of {options['rounds']} rounds of {options['seconds']:g} s, in which the
servers took turns. "Dovecot" is the better one of its mailbox formats.

Bars kept: {sum(kept is True for kept in bars)} of {len(bars)}.

![CPU time, in times the limit's](plots/ratios.svg)

{cost_table(found)}

## Rates and latencies

Operations a second; p50, p99, p99.9 in µs. Client and server share the machine, so rates say as much of the client as of the server.

![latencies](plots/latency.svg)

{latency_table(report)}
""")
