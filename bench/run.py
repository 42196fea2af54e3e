#!/usr/bin/env python3
"""run.py [quick | show CSV] - runs the benchmarks and those of the peers in turn.

  (nothing)  ROUNDS (3) rounds of each workload, ours and then each peer's; writes
             bench/results/DATE.csv, the tables in bench/README.md and the plots in bench/results/
  quick      one small round against oneTBB, libgomp and Go; writes to build/bench/ only
  show CSV   writes the tables and the plots anew from such a file

`make bench-programs` builds all of it before. A peer that is not there is left out, and so is a
workload of a peer that failed or took longer than TIMEOUT (45) seconds. A program during which
other processes took more than 10 % of the machine is run again, at most twice, while AGAIN (240)
seconds for that last, and the calmest run counts. Nothing is started after BUDGET (1380) seconds.
"""
import csv
import datetime
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import report

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(HERE), "build", "bench")
RESULTS = os.path.join(HERE, "results")
PYTHON = os.path.join(os.path.dirname(BUILD), "venv", "bin", "python")

OURS = {"w1": "w1_spawn", "w2": "w2_fib", "w3": "w3_chain", "w4": "w4_wavefront",
        "w5": "w5_roundtrip", "w6": "w6_actors", "w7": "w7_objects", "w8": "w8_waiting",
        "recursive": "recursive"}
ALONE = ["store", "growth", "scaling", "memory", "submit", "wait"]
TASKS = "w1 w2 w3 w4 w5 recursive"
PEERS = {"tbb": TASKS, "libgomp": TASKS, "libomp": TASKS, "pool": "w1 w3 w5 w7", "async": "w1 w5",
         "go": "w1 w2 w3 w4 w5 w6 w7 w8", "erlang": "w1 w2 w3 w5 w6", "caf": "w6",
         "ray": "w1 w3 w5 w6 w7"}
COMMANDS = {"erlang": ["erl", "+P", "2000000", "-noshell", "-pa", BUILD, "-run", "workloads",
                       "main"],
            "ray": [PYTHON, os.path.join(HERE, "peers", "workloads.py")]}
# What would take minutes is done with fewer: the divisor of the amount of work.
SCALES = {("libomp", "w4"): 16}
QUICK_PEERS, QUICK_WORKLOADS = ["tbb", "libgomp", "go"], ["w1", "w2", "w3", "w4", "w6"]
QUICK_ALONE = ["store"]


def setting(name, otherwise):
    return float(os.environ.get(name, otherwise))


def command(who, workload):
    """What to start, or None if it is not there."""
    if who in COMMANDS:
        line = COMMANDS[who] + [workload]
    elif who in PEERS:
        line = [os.path.join(BUILD, who), workload]
    else:
        line = [os.path.join(BUILD, OURS.get(workload, workload))]
    there = shutil.which(line[0])
    if who == "erlang":
        there = there and os.path.exists(os.path.join(BUILD, "workloads.beam"))
    return line if there else None


def start(line, environment, timeout):
    """Its output, and what went wrong. It is ended with all that it started."""
    child = subprocess.Popen(line, stdout=subprocess.PIPE, env=environment, text=True,
                             start_new_session=True)
    try:
        output, _ = child.communicate(timeout=timeout)
        return output, f"exit status {child.returncode}" if child.returncode else ""
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        output, _ = child.communicate()
        return output, f"more than {timeout:.0f} s"


def parse(output, number, who):
    fields = len(report.COLUMNS) - 2
    return [dict(zip(report.COLUMNS, [str(number), who] + line))
            for line in csv.reader(output.splitlines()) if len(line) == fields]


class Session:
    def __init__(self, budget, timeout, again, scale):
        self.rows, self.gone, self.scale = [], {}, scale
        self.timeout, self.again = timeout, again
        self.end = time.time() + budget

    def environment(self, who, workload):
        scale = max(self.scale, SCALES.get((who, workload), 1))
        return dict(os.environ, BENCH_SCALE=str(scale), ERL_CRASH_DUMP="/dev/null",
                    RAY_USAGE_STATS_ENABLED="0", RAY_DEDUP_LOGS="0")

    def once(self, number, who, workload):
        """(how much it was disturbed, its rows), or None if it cannot be run."""
        line, left = command(who, workload), self.end - time.time()
        if line is None or (who, workload) in self.gone:
            return None
        if left <= 0:
            self.leave_out(who, workload, "no time was left")
            return None
        print(f"round {number}: {who} {workload}", file=sys.stderr, flush=True)
        output, wrong = start(line, self.environment(who, workload), min(left, self.timeout))
        if wrong:
            self.leave_out(who, workload, wrong)
        rows = parse(output, number, who)
        return max((report.disturbance(row) for row in rows), default=0), rows

    def leave_out(self, who, workload, why):
        print(f"{who} {workload} is left out: {why}", file=sys.stderr, flush=True)
        self.gone[who, workload] = why

    def run(self, number, who, workload):
        best = self.once(number, who, workload)
        for _ in range(2):
            began = time.time()
            if best is None or best[0] <= report.DISTURBED or self.again <= 0:
                break
            other = self.once(number, who, workload)
            best = min(best, other or best, key=lambda run: run[0])
            self.again -= time.time() - began
        if best:
            self.rows += best[1]

    def round(self, number, workloads, peers, alone=()):
        self.run(number, "machine", "limits")
        for workload in workloads:
            for who in ["rustyray"] + [p for p in peers if workload in PEERS[p].split()]:
                self.run(number, who, workload)
        for workload in alone:
            self.run(number, "rustyray", workload)


def machine():
    model = platform.processor() or platform.machine()
    with open("/proc/cpuinfo") as file:
        found = re.search(r"model name\s*:\s*(.*)", file.read())
    compiler = subprocess.run(["gcc", "--version"], stdout=subprocess.PIPE, text=True).stdout
    return [f"{found.group(1) if found else model}, {os.cpu_count()} cores",
            f"{platform.system()} {platform.release()}, {compiler.splitlines()[0]}, -O2",
            datetime.datetime.now().strftime("%Y-%m-%d %H:%M")]


def write_csv(path, session):
    gone = [f"left out: {who} {work}: {why}" for (who, work), why in session.gone.items()]
    with open(path, "w", newline="") as file:
        file.writelines(f"# {text}\n" for text in machine() + gone)
        writer = csv.DictWriter(file, report.COLUMNS)
        writer.writeheader()
        writer.writerows(session.rows)


def show(path, folder):
    """The tables as text, and the plots in the folder."""
    run = report.Run(path)
    os.makedirs(folder, exist_ok=True)
    return report.tables(run) + report.plots(run, folder)


def write_readme(text):
    path = os.path.join(HERE, "README.md")
    with open(path) as file:
        old = file.read()
    marks = re.compile(r"(<!-- table -->\n).*?(<!-- end of table -->)", re.S)
    with open(path, "w") as file:
        file.write(marks.sub(lambda m: m.group(1) + text + m.group(2), old))


def main():
    if sys.argv[1:2] == ["show"]:
        write_readme(show(sys.argv[2], RESULTS))
        return
    os.makedirs(RESULTS, exist_ok=True)
    if sys.argv[1:] == ["quick"]:
        session = Session(budget=90, timeout=30, again=20, scale=2)
        session.round(1, QUICK_WORKLOADS, QUICK_PEERS, QUICK_ALONE)
        path = os.path.join(BUILD, "quick.csv")
        write_csv(path, session)
        print(report.tables(report.Run(path)))
        return
    session = Session(setting("BUDGET", 1380), setting("TIMEOUT", 45), setting("AGAIN", 240), 1)
    for number in range(1, int(setting("ROUNDS", 3)) + 1):
        session.round(number, list(OURS), list(PEERS), ALONE)
    path = os.path.join(RESULTS, datetime.date.today().isoformat() + ".csv")
    write_csv(path, session)
    write_readme(show(path, RESULTS))


if __name__ == "__main__":
    main()
