#!/usr/bin/env python3
"""run.py [quick] - runs the benchmarks and those of the peers in turn, and makes the tables.

  full    some rounds (ROUNDS, 3) of each workload: ours, then each peer; writes
          bench/results/DATE.csv, the table in bench/README.md and the plots in bench/results/
  quick   two minutes, ours against oneTBB, OpenMP and Go; writes to build/bench/ only

Everything is built by `make bench-programs` before. A peer that is not there is left out, and so
is a workload of a peer that failed or took longer than TIMEOUT seconds (90).
"""
import csv
import datetime
import os
import platform
import re
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(HERE), "build", "bench")
COLUMNS = "round who workload variant unit min median p99 cpu rss disturbed".split()

OURS = {"w1": "w1_spawn", "w2": "w2_fib", "w3": "w3_chain", "w4": "w4_wavefront",
        "w5": "w5_roundtrip", "w6": "w6_actors", "w7": "w7_objects", "recursive": "recursive"}
ALONE = ["growth", "scaling", "memory", "submit", "wait"]
TASKS = "w1 w2 w3 w4 w5 recursive".split()
PEERS = {"tbb": (["tbb"], TASKS), "libgomp": (["libgomp"], TASKS), "libomp": (["libomp"], TASKS),
         "pool": (["pool"], ["w1", "w3", "w5", "w7"]), "async": (["async"], ["w1", "w5"]),
         "go": (["go"], "w1 w2 w3 w4 w5 w6 w7".split()), "caf": (["caf"], ["w6"]),
         "erlang": (["erl", "+P", "2000000", "-noshell", "-pa", BUILD, "-run", "workloads", "main"],
                    ["w1", "w2", "w3", "w5", "w6"]),
         "ray": ([os.path.join(BUILD, "..", "venv", "bin", "python"),
                  os.path.join(HERE, "peers", "workloads.py")], ["w1", "w3", "w5", "w6", "w7"])}
QUICK_PEERS = ["tbb", "libgomp", "go"]
QUICK_WORKLOADS = ["w1", "w2", "w3", "w4", "w6"]

# What we aim for: the figure that a row should not exceed, or for % and GB/s should reach.
AIMS = {"W1 empty": 100, "W1 1us": 85, "W1 10us": 97, "W2 fib": 40, "W3 chain": 120,
        "W4 wavefront": 150, "W5 helping-hot": 200, "W5 helping-cold": 1000, "W5 across-hot": 600,
        "W5 across-cold": 8000, "W6 ping-pong": 100, "W6 ring": 100, "W6 fan-in": 50,
        "W6 create": 300, "W6 bytes": 256, "W7 put-64B": 80, "W7 get-64B": 15, "W7 get-4KiB": 15,
        "W7 get-1MiB": 15, "W7 get-64MiB": 15, "W7 put-1MiB": 10, "W7 put-64MiB": 4.5,
        "memory task-waiting": 192, "memory task-queued": 192, "memory actor": 256,
        "memory idle-runtime": 200, "memory idle-runtime-cpu": 0.05}


def is_higher_better(unit, row=""):
    return unit in ("GB/s", "M/s") or unit == "%" and "cpu" not in row


def command(parts):
    first = parts[0] if os.sep in parts[0] else os.path.join(BUILD, parts[0])
    if os.path.exists(first):
        return [first] + parts[1:]
    from shutil import which
    return parts if which(parts[0]) and parts[0] == "erl" else None


class Session:
    def __init__(self, quick):
        self.rows, self.gone = [], set()
        self.environment = dict(os.environ, ERL_CRASH_DUMP="/dev/null", RAY_DEDUP_LOGS="0")
        self.timeout = float(os.environ.get("TIMEOUT", "90"))
        self.deadline = time.time() + 115 if quick else None
        if quick:
            self.environment["BENCH_SCALE"] = "8"

    def run(self, number, who, parts, workload):
        line = command(parts)
        left = self.deadline - time.time() if self.deadline else self.timeout
        if line is None or (who, workload) in self.gone or left <= 0:
            return
        print(f"round {number}: {who} {workload}", file=sys.stderr, flush=True)
        try:
            done = subprocess.run(line, stdout=subprocess.PIPE, env=self.environment, text=True,
                                  timeout=min(left, self.timeout))
            output, failed = done.stdout, done.returncode
        except subprocess.TimeoutExpired as late:
            output, failed = (late.stdout or b"").decode(), "out of time"
        for fields in csv.reader(output.splitlines()):
            if len(fields) == len(COLUMNS) - 2:
                self.rows.append(dict(zip(COLUMNS, [str(number), who] + fields)))
        if failed:
            print(f"{who} {workload}: {failed}", file=sys.stderr)
            self.gone.add((who, workload))

    def rounds(self, count, workloads, peers):
        for number in range(1, count + 1):
            self.run(number, "machine", ["limits"], "limits")
            for workload in workloads:
                self.run(number, "rustyray", [OURS[workload]], workload)
                for peer in peers:
                    parts, able = PEERS[peer]
                    if workload in able:
                        self.run(number, peer, parts + [workload], workload)


def figures(rows):
    """{(workload variant): {who: [median per round]}}, and units."""
    table, units = {}, {}
    for row in rows:
        key = f"{row['workload']} {row['variant']}"
        units[key] = row["unit"]
        table.setdefault(key, {}).setdefault(row["who"], {})[row["round"]] = float(row["median"])
    return table, units


def number(x):
    return f"{x:.3g}" if x < 100 else f"{x:,.0f}"


def ratio(ours, theirs, higher):
    """How many times better ours is, round by round: the median, and from where to where."""
    pairs = [(ours[r], theirs[r]) for r in ours if r in theirs and ours[r] > 0 and theirs[r] > 0]
    ratios = [a / b if higher else b / a for a, b in pairs]
    if not ratios:
        return ""
    middle = statistics.median(ratios)
    spread = f" ({min(ratios):.2g}–{max(ratios):.2g})" if len(ratios) > 1 else ""
    return f"{middle:.2g}{spread}"


def verdict(key, value, unit):
    if key not in AIMS:
        return "", ""
    met = value >= AIMS[key] if is_higher_better(unit, key) else value <= AIMS[key]
    return number(AIMS[key]), "yes" if met else "**no**"


def markdown(rows):
    table, units = figures(rows)
    peers = [p for p in PEERS if any(p in t for t in table.values())]
    lines = ["| work | unit | ours | aim | met | " + " | ".join(peers) + " |",
             "|---|---|---|---|---|" + "---|" * len(peers)]
    for key, whos in table.items():
        if "rustyray" not in whos:
            continue
        ours, higher = whos["rustyray"], is_higher_better(units[key], key)
        value = statistics.median(ours.values())
        cells = [ratio(ours, whos.get(p, {}), higher) for p in peers]
        lines.append("| " + " | ".join([key, units[key], number(value), *verdict(key, value, units[key]),
                                        *cells]) + " |")
    lines += ["", "| limit of the machine, same run | " + "median | from | to |", "|---|---|---|---|"]
    for key, whos in table.items():
        if "machine" in whos:
            values = list(whos["machine"].values())
            lines.append(f"| {key.split()[1]} | {number(statistics.median(values))} {units[key]} | "
                         f"{number(min(values))} | {number(max(values))} |")
    disturbed = [float(r["disturbed"]) for r in rows if r["disturbed"]]
    lines += ["", f"Other processes took {100 * statistics.median(disturbed):.0f} % of the machine "
              f"(median; at most {100 * max(disturbed):.0f} %)."]
    return "\n".join(lines)


def machine():
    model = platform.processor() or platform.machine()
    with open("/proc/cpuinfo") as file:
        found = re.search(r"model name\s*:\s*(.*)", file.read())
    compiler = subprocess.run(["gcc", "--version"], stdout=subprocess.PIPE, text=True).stdout
    return [f"{found.group(1) if found else model}, {os.cpu_count()} cores",
            f"{platform.system()} {platform.release()}, {compiler.splitlines()[0]}, -O2",
            datetime.datetime.now().strftime("%Y-%m-%d %H:%M")]


def write_csv(path, rows):
    with open(path, "w", newline="") as file:
        file.writelines(f"# {text}\n" for text in machine())
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


PLOTS = ("work", "efficiency", "growth")


def write_readme(rows):
    path = os.path.join(HERE, "README.md")
    with open(path) as file:
        text = file.read()
    pictures = "".join(f"\n![{name}](results/{name}.svg)" for name in PLOTS
                       if os.path.exists(os.path.join(HERE, "results", name + ".svg")))
    table = "\n".join(machine()) + "\n\n" + markdown(rows) + pictures
    text = re.sub(r"(<!-- table -->\n).*?(<!-- end of table -->)",
                  lambda m: m.group(1) + table + "\n" + m.group(2), text, flags=re.S)
    with open(path, "w") as file:
        file.write(text)


def plot(name, script, data):
    path = os.path.join(BUILD, name + ".dat")
    with open(path, "w") as file:
        file.writelines(" ".join(str(x) for x in row) + "\n" for row in data)
    head = (f"set terminal svg size 800,450 background 'white'\n"
            f"set output '{HERE}/results/{name}.svg'\nset grid y\ndata = '{path}'\n")
    try:
        subprocess.run(["gnuplot"], input=head + script, text=True)
    except FileNotFoundError:
        print("no gnuplot: no plots", file=sys.stderr)


def plots(rows):
    table, _ = figures(rows)
    middle = lambda key, who: statistics.median(table[key][who].values()) if who in table.get(key, {}) else "NaN"
    works = ["W1 empty", "W2 fib", "W3 chain", "W4 wavefront", "W6 ping-pong", "W6 ring", "W6 fan-in", "W6 create"]
    whos = ["rustyray"] + [p for p in PEERS if p not in ("async", "ray")
                            and any(middle(w, p) != "NaN" for w in works)]
    bars = [[f'"{w}"'] + [middle(w, who) for who in whos] for w in works]
    limits = [("fetch-add", "limits fetch-add"), ("malloc+free", "limits malloc-free"),
              ("cache line", "limits line-there-and-back"), ("wake", "limits wake-caller")]
    drawn = [(text, middle(key, "machine")) for text, key in limits if middle(key, "machine") != "NaN"]
    plot("work", "set style data histogram\nset style fill solid 0.8\nset logscale y\nset ylabel 'ns'\n"
         "set key outside\n" + "".join(f"set arrow from graph 0,first {y} to graph 1,first {y} nohead dt 2\n"
         f"set label '{text}' at graph 0.01,first {y} offset 0,0.4 font ',9'\n" for text, y in drawn) +
         "plot " + ", ".join(f"data using {i + 2}:xtic(1) title '{who}'" for i, who in enumerate(whos)) + "\n", bars)
    curve = [(k.split("-")[1], middle(k, "rustyray")) for k in table if re.match(r"scaling length-\d+$", k)]
    if curve:
        plot("efficiency", "set logscale x\nset yrange [0:110]\nset xlabel 'length of a task, ns'\n"
             "set ylabel '% of the ideal'\nset key off\nplot data with linespoints, 100 dt 2\n", curve)
    growth = [(k.split()[1], middle(k, "rustyray")) for k in table if re.match(r"growth \d+$", k)]
    if growth:
        plot("growth", "set logscale x\nset yrange [0:*]\nset xlabel 'calls at once'\nset ylabel 'ns per call'\n"
             "set key off\nplot data with linespoints\n", growth)


def main():
    quick = sys.argv[1:] == ["quick"]
    session = Session(quick)
    if quick:
        session.rounds(1, QUICK_WORKLOADS, QUICK_PEERS)
        write_csv(os.path.join(BUILD, "quick.csv"), session.rows)
        print(markdown(session.rows))
        return
    session.rounds(int(os.environ.get("ROUNDS", "3")), list(OURS), list(PEERS))
    for name in ALONE:
        session.run(1, "rustyray", [name], name)
    os.makedirs(os.path.join(HERE, "results"), exist_ok=True)
    write_csv(os.path.join(HERE, "results", datetime.date.today().isoformat() + ".csv"), session.rows)
    plots(session.rows)
    write_readme(session.rows)


if __name__ == "__main__":
    main()
