"""report - tables in Markdown and plots (gnuplot, SVG) of what run.py measured."""
import csv
import os
import re
import statistics
import subprocess

COLUMNS = "round who workload variant unit min median p99 cpu rss disturbed".split()
DISTURBED = 0.10  # the share of the machine that others may take
NAMES = {"rustyray": "rustyray.h", "tbb": "oneTBB", "libgomp": "libgomp", "libomp": "libomp",
         "pool": "C++ pool", "async": "std::async", "go": "Go", "erlang": "Erlang", "caf": "CAF",
         "ray": "Ray", "serial": "no tasks", "unlimited": "no limit", "memcpy": "memcpy",
         "dd": "dd"}
# Rows of ours that stand beside another one, by the end of their name.
BESIDE = {"recursive": ["serial"], "store": ["unlimited", "memcpy", "dd"]}
COLOURS = {"tbb": "#0072b2", "libgomp": "#e69f00", "libomp": "#b8860b", "pool": "#999999",
           "async": "#555555", "go": "#009e9e", "erlang": "#aa3377", "caf": "#cc79a7",
           "ray": "#d55e00", "serial": "#666633"}
POINTS = {"tbb": 7, "libgomp": 5, "libomp": 4, "pool": 9, "async": 8, "go": 11, "erlang": 13,
          "caf": 12, "ray": 15, "serial": 6}
HIGHER_IS_BETTER = ("%", "GB/s", "MB/s", "M/s")

# row: (what we aim for, what we would like, the limit of the machine)
# The limit is a row of limits.c, what stands beside the row (memcpy, dd), or a figure.
AIMS = {
    "W1 empty": (100, 60, "fetch-add"), "W1 1us": (85, 92, 100), "W1 10us": (97, 99, 100),
    "W2 fib": (40, 25, "fetch-add"), "W3 chain": (120, 80, "fetch-add"),
    "W4 wavefront": (150, 100, "fetch-add"),
    "W5 helping-hot": (200, None, "fetch-add"), "W5 helping-cold": (1000, None, "fetch-add"),
    "W5 across-hot": (600, None, "line-there-and-back"),
    "W5 across-cold": (8000, None, "wake-until-it-runs"),
    "W6 ping-pong": (100, None, "fetch-add"), "W6 ring": (100, None, "fetch-add"),
    "W6 fan-in": (50, None, "fetch-add-contended"), "W6 create": (300, None, "malloc-free"),
    "W6 bytes": (256, None, None),
    "W7 put-64B": (80, None, "malloc-free"), "W7 get-64B": (15, None, "fetch-add"),
    "W7 put-4KiB": (None, None, "memcpy-4KiB"), "W7 get-4KiB": (15, None, "fetch-add"),
    "W7 put-1MiB": (10, None, "memcpy-1MiB"), "W7 get-1MiB": (15, None, "fetch-add"),
    "W7 put-64MiB": (4.5, None, "memcpy-64MiB"), "W7 get-64MiB": (15, None, "fetch-add"),
    "W8 suspend": (60, None, "fetch-add"),
    "store put-64B": (None, None, "malloc-free"), "store put-4KiB": (None, None, "memcpy"),
    "store put-1MiB": (None, None, "memcpy"), "store put-64MiB": (None, None, "memcpy"),
    "store get-64B": (None, None, "fetch-add"), "store get-4KiB": (None, None, "fetch-add"),
    "store get-1MiB": (None, None, "fetch-add"), "store get-64MiB": (None, None, "fetch-add"),
    "store gather-100000": (100, None, "fetch-add"),
    "store write-4KiB": (None, None, "dd"), "store back-4KiB": (None, None, "dd"),
    "store write-1MiB": (None, None, "dd"), "store back-1MiB": (None, None, "dd"),
    "store write-64MiB": (None, None, "dd"), "store back-64MiB": (None, None, "dd"),
    "memory task-waiting": (192, 128, None), "memory task-queued": (192, 128, None),
    "memory actor": (256, None, None), "memory idle-runtime": (200, None, None),
    "memory idle-runtime-cpu": (0.05, None, 0)}

GROUPS = [("Tasks", "W1 W2 W3 W4 W5"), ("Recursive programs", "recursive"), ("Actors", "W6"),
          ("Objects", "W7"), ("Waiting", "W8"), ("Store", "store"), ("Memory", "memory"),
          ("Growth, and more workers than cores", "growth"),
          ("Workers, and the length of a task", "scaling"), ("Threads outside that call", "submit"),
          ("Waiting and wide graphs", "wait")]


def disturbance(row):
    return float(row["disturbed"] or 0)


class Run:
    """figures[row][who][round] is a row of the CSV; a row is "W1 empty"."""

    def __init__(self, path):
        with open(path) as file:
            lines = file.read().splitlines()
        self.about = [line[2:] for line in lines if line.startswith("# ")]
        self.figures = {}
        for row in csv.DictReader(line for line in lines if not line.startswith("# ")):
            who, key = row["who"], f"{row['workload']} {row['variant']}"
            for beside in BESIDE.get(row["workload"], []):
                if key.endswith("-" + beside):
                    who, key = beside, key[:-len(beside) - 1]
            self.figures.setdefault(key, {}).setdefault(who, {})[row["round"]] = row

    def unit(self, key):
        return next(iter(next(iter(self.figures[key].values())).values()))["unit"]

    def values(self, key, who, column="median"):
        rows = self.figures.get(key, {}).get(who, {})
        return {number: float(row[column]) for number, row in rows.items() if row[column]}

    def median(self, key, who):
        values = self.values(key, who)
        return statistics.median(values.values()) if values else None

    def best(self, key, who):
        rows = self.figures[key][who].values()
        pick = max if self.unit(key) in HIGHER_IS_BETTER else min
        return pick(float(row["median" if pick is max else "min"]) for row in rows)

    def is_disturbed(self, key, who):
        return any(disturbance(r) > DISTURBED for r in self.figures[key].get(who, {}).values())

    def ours(self, workload):
        return [key for key, whos in self.figures.items()
                if key.split()[0] == workload and "rustyray" in whos]

    def limit(self, key):
        """The limit of the machine for a row: the best that was seen, or None."""
        limit = AIMS.get(key, (None, None, None))[2]
        if not isinstance(limit, str):
            return limit
        if limit in BESIDE.get(key.split()[0], []):
            return self.best(key, limit) if self.values(key, limit) else None
        key = f"limits {limit}"
        return self.best(key, "machine") if self.values(key, "machine") else None

    def was_left_out(self, who, key):
        start = f"left out: {who} {key.split()[0].lower()}: "
        return any(text.startswith(start) for text in self.about)

    def ratios(self, key, who):
        """How many times better ours is, round by round, sorted."""
        ours, theirs = self.values(key, "rustyray"), self.values(key, who)
        pairs = [(ours[n], theirs[n]) for n in ours if theirs.get(n, 0) > 0 and ours[n] > 0]
        higher = self.unit(key) in HIGHER_IS_BETTER
        return sorted(a / b if higher else b / a for a, b in pairs)


# ---- tables ----

def number(x):
    if x is None:
        return ""
    return f"{x:.3g}" if abs(x) < 1000 else f"{x:,.0f}"


def short(x):
    """A ratio: two digits, none after the point from 10 on."""
    return f"{x:.2g}" if x < 10 else f"{x:,.0f}"


def ratio_cell(run, key, who):
    ratios = run.ratios(key, who)
    if not ratios:
        return "–" if run.was_left_out(who, key) else ""
    mark = "\\*" if run.is_disturbed(key, who) else ""
    low, middle, high = short(ratios[0]), short(statistics.median(ratios)), short(ratios[-1])
    return f"{middle}{mark}" if low == high else f"{middle}{mark} ({low}–{high})"


def ours_cell(run, key):
    mark = "\\*" if run.is_disturbed(key, "rustyray") else ""
    p99 = list(run.values(key, "rustyray", "p99").values())
    tail = f", p99 {number(statistics.median(p99))}" if p99 else ""
    middle, best = number(run.median(key, "rustyray")), number(run.best(key, "rustyray"))
    return f"{middle}{mark} [{best}]{tail}"


def aim_cells(run, key):
    aim, stretch, _ = AIMS.get(key, (None, None, None))
    met = ""
    if aim is not None:
        value = run.median(key, "rustyray")
        reaches = value.__ge__ if run.unit(key) in HIGHER_IS_BETTER else value.__le__
        met = "**no**" if not reaches(float(aim)) else "yes"
        met = "stretch" if stretch and reaches(float(stretch)) else met
    wish = f"{number(aim)} / {number(stretch)}" if stretch else number(aim)
    return [wish, met, number(run.limit(key))]


def markdown(head, rows):
    line = lambda cells: "| " + " | ".join(cells) + " |\n"
    return line(head) + "|---" * len(head) + "|\n" + "".join(line(row) for row in rows)


def group_table(run, title, workloads):
    keys = [key for workload in workloads.split() for key in run.ours(workload)]
    if not keys:
        return ""
    peers = [p for p in NAMES if p != "rustyray" and any(run.ratios(key, p) for key in keys)]
    has_aims = any(key in AIMS for key in keys)
    head = ["work", "unit", "ours [best]"] + (["aim", "met", "limit"] if has_aims else [])
    rows = []
    for key in keys:
        name = key if len(workloads.split()) > 1 or workloads[0] == "W" else key.split()[1]
        aims = aim_cells(run, key) if has_aims else []
        rows.append([name, run.unit(key), ours_cell(run, key), *aims,
                     *(ratio_cell(run, key, p) for p in peers)])
    return f"**{title}**\n\n" + markdown(head + [NAMES[p] for p in peers], rows) + "\n"


def limits_table(run):
    rows = []
    for key, whos in run.figures.items():
        if "machine" in whos:
            values = sorted(run.values(key, "machine").values())
            rows.append([key.split()[1], run.unit(key), number(statistics.median(values)),
                         f"{number(values[0])}–{number(values[-1])}"])
    head = ["limit of the machine", "unit", "median", "over the rounds"]
    return markdown(head, rows) + "\n" if rows else ""


def disturbed_text(run):
    shares = [disturbance(row) for whos in run.figures.values() for rounds in whos.values()
              for row in rounds.values() if row["disturbed"]]
    over = sum(share > DISTURBED for share in shares)
    return (f"Other processes took {100 * statistics.median(shares):.0f} % of the machine (median; "
            f"at most {100 * max(shares):.0f} %); {over} of {len(shares)} measurements had more "
            f"than {100 * DISTURBED:.0f} % of it taken away and are marked \\*.\n\n")


def tables(run):
    text = "  \n".join(run.about) + "\n\n"
    for title, workloads in GROUPS:
        text += group_table(run, title, workloads)
    return text + limits_table(run) + disturbed_text(run)


# ---- plots ----

HEAD = """set terminal svg size {width},{height} font 'DejaVu Sans,Helvetica,sans-serif,13' \
background '#ffffff'
set output '{path}'
set encoding utf8
set border 3 lc rgb '#888888'
set tics nomirror out textcolor rgb '#333333'
set grid lc rgb '#e4e4e4' lt 1 lw 1
set title font ',15' textcolor rgb '#111111'
"""


def gnuplot(path, width, height, script):
    head = HEAD.format(path=path, width=width, height=height)
    try:
        done = subprocess.run(["gnuplot"], input=head + script, text=True)
        return done.returncode == 0
    except FileNotFoundError:
        print("no gnuplot: no plots")
        return False


def block(name, rows):
    return f"${name} << E\n" + "".join(" ".join(map(str, row)) + "\n" for row in rows) + "E\n"


def stripes(count):
    return "".join(f"set object {i + 1} rectangle from graph 0, first {i - 0.5} to graph 1, first "
                   f"{i + 0.5} behind fc rgb '#f6f6f6' fs solid noborder\n"
                   for i in range(0, count, 2))


def plot_ratios(run, path, title, keys):
    """A line for each row: what the others cost, ours being 1, with the spread over the rounds."""
    keys = [k for k in keys if any(run.ratios(k, p) for p in COLOURS)]
    peers = [p for p in COLOURS if any(run.ratios(k, p) for k in keys)]
    if not keys:
        return False
    script, plots, labels = "", [], []
    for i, key in enumerate(keys):
        name = key.split()[1] if key.startswith("recursive") else key
        figure = f"{number(run.median(key, 'rustyray'))} {run.unit(key)}".replace(" %", " %%")
        labels.append(f"'{name}  {{/*0.85 {figure}}}' {i}")
    for at, peer in enumerate(peers):
        shift = (at - (len(peers) - 1) / 2) * 0.66 / max(len(peers) - 1, 1)
        rows = [(statistics.median(r), i + shift, r[0], r[-1])
                for i, r in ((i, run.ratios(key, peer)) for i, key in enumerate(keys)) if r]
        script += block(peer, rows)
        look = f"lc rgb '{COLOURS[peer]}'"
        plots += [f"${peer} using 1:2:3:4 with xerrorbars pt 0 lw 1.5 {look} notitle",
                  f"${peer} using 1:2 with points pt {POINTS[peer]} ps 0.75 {look} "
                  f"title '{NAMES[peer]}'"]
    limits = limit_ratios(run, keys)
    if limits:
        script += block("limit", limits)
        plots.append("$limit using 1:($2-0.42):(0):(0.84) with vectors nohead lw 3 "
                     "lc rgb '#222222' title 'limit of the machine'")
    script += (stripes(len(keys)) + f"set title '{title}'\nset logscale x\nset format x '%g'\n"
               "set xlabel 'cost, ours = 1  (right of the line: ours is better)'\n"
               f"set ytics ({', '.join(labels)}) scale 0\nset yrange [{len(keys) - 0.5}:-0.5]\n"
               "set grid x noy\nset key outside right top reverse Left samplen 1\n"
               "set arrow from 1, graph 0 to 1, graph 1 nohead lw 2 lc rgb '#117733'\n"
               "set label '{/:Bold ours}' at 1, graph 1 center offset 0,0.6 tc rgb '#117733' "
               "font ',12'\nset offsets 0,0,0,0\nset title offset 0,0.6\n"
               "plot " + ", ".join(plots) + "\n")
    return gnuplot(path, 900, 130 + 44 * len(keys), script)


def limit_ratios(run, keys):
    rows = []
    for i, key in enumerate(keys):
        limit, ours = run.limit(key), run.median(key, "rustyray")
        if limit:
            rows.append((ours / limit if run.unit(key) in HIGHER_IS_BETTER else limit / ours, i))
    return rows


def plot_efficiency(run, path):
    curve = []
    for key in run.ours("scaling"):
        found = re.match(r"scaling length-(\d+)$", key)
        if found:
            values = run.values(key, "rustyray").values()
            curve.append((found.group(1), run.median(key, "rustyray"), min(values), max(values)))
    if not curve:
        return False
    script, plots = block("ours", curve), []
    for peer in COLOURS:
        pairs = ((1000, run.median("W1 1us", peer)), (10000, run.median("W1 10us", peer)))
        points = [(at, value) for at, value in pairs if value is not None]
        if points:
            script += block(peer, points)
            plots.append(f"${peer} with points pt {POINTS[peer]} ps 0.9 lc rgb '{COLOURS[peer]}' "
                         f"title '{NAMES[peer]}'")
    for level in (50, 90, 99):
        at = run.median(f"scaling length-for-{level}%", "rustyray")
        if at is not None:
            script += (f"set arrow from {at},{level} to {at},0 nohead dt 3 lc rgb '#117733'\n"
                       f"set label '{level} % at {number(at)} ns' at {at},{3} rotate by 90 "
                       "offset -0.8,0.4 font ',11' tc rgb '#117733'\n")
    script += ("set title 'Which length of a task pays'\nset logscale x\nset xrange [40:130000]\n"
               "set yrange [0:105]\nset xlabel 'length of a task'\nset ylabel '% of the ideal'\n"
               "set xtics ('50 ns' 50, '100' 100, '1 µs' 1000, '10 µs' 10000, '100 µs' 100000)\n"
               "set key outside right top reverse Left samplen 1\n"
               "plot 100 lw 3 lc rgb '#222222' title 'limit of the machine', "
               "$ours using 1:3:4 with filledcurves fc rgb '#117733' fs transparent solid 0.2 "
               "notitle, $ours using 1:2 with linespoints pt 7 ps 0.8 lw 2.5 lc rgb '#117733' "
               "title 'rustyray.h'" + "".join(", " + p for p in plots) + "\n")
    return gnuplot(path, 900, 460, script)


def bars(run, pattern):
    rows = []
    for key in run.ours("growth"):
        found = re.match(pattern, key)
        if found:
            values = run.values(key, "rustyray").values()
            rows.append((found.group(1), run.median(key, "rustyray"), min(values), max(values)))
    return rows


def plot_growth(run, path):
    growth = bars(run, r"growth (\d+)$")
    flood, fib = bars(run, r"growth flood-(\d+)"), bars(run, r"growth fib-(\d+)")
    if not growth or not flood:
        return False
    most = 1.25 * max([1.3 * growth[0][1]] + [row[3] for row in growth + flood + fib])
    limit = run.limit("W1 empty")
    drawn = f"{limit} lw 3 lc rgb '#222222' notitle, " if limit else ""
    line = "with yerrorlines pt 7 ps 0.8 lw 2.5"
    script = (block("growth", growth) + block("flood", flood) + block("fib", fib) +
              "set multiplot layout 1,2 margins 0.09,0.97,0.14,0.88 spacing 0.08\n"
              f"set yrange [0:{most}]\nset key top left reverse Left samplen 2\n"
              "set title 'Calls at once'\nset ylabel 'ns per call' offset 1,0\nset logscale x\n"
              "set xtics ('10³' 1e3, '10⁴' 1e4, '10⁵' 1e5, '10⁶' 1e6, '10⁷' 1e7)\n"
              f"plot [700:1.5e7] {drawn}{1.3 * growth[0][1]} dt 2 lw 2 lc rgb '#cc3311' title "
              f"'1.3 × that of 10³', "
              f"$growth {line} lc rgb '#117733' title 'call, result, release'\n"
              "unset ylabel\nset title 'Workers on two cores'\nset logscale x 2\n"
              "set xtics (2, 8, 64)\n".replace("two cores", f"{os.cpu_count()} cores") +
              f"plot [1.5:90] {drawn}$flood {line} lc rgb '#117733' title '100,000 calls at once', "
              f"$fib {line} lc rgb '#0072b2' title 'fib(22)'\nunset multiplot\n")
    if limit:
        script = f"set label 'limit of the machine' at graph 0.98, first {limit} right " \
                 f"offset 0,0.6 font ',11'\n" + script
    return gnuplot(path, 900, 400, script)


def plots(run, folder):
    """Makes them, and returns the Markdown that shows them."""
    made = {}
    at = lambda name: os.path.join(folder, name + ".svg")
    for name, title, workloads in (("tasks", "Tasks", "W1 W2 W3 W4 W5"),
                                   ("recursive", "Recursive programs", "recursive"),
                                   ("actors", "Actors", "W6"), ("objects", "Objects", "W7")):
        keys = [key for workload in workloads.split() for key in run.ours(workload)]
        made[name] = plot_ratios(run, at(name), title, keys)
    made["efficiency"] = plot_efficiency(run, at("efficiency"))
    made["growth"] = plot_growth(run, at("growth"))
    return "".join(f"![{name}](results/{name}.svg)\n" for name, done in made.items() if done)
