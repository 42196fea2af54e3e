"""workloads: what of the workloads makes sense with Ray itself, and the same lines as bench.h."""
import os
import resource
import statistics
import sys
import time

import ray

SCALE = int(os.environ.get("BENCH_SCALE", "1"))


def amount(n):
    return max(1, n // SCALE)


def all_cpu():
    with open("/proc/stat") as file:
        fields = [int(f) for f in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def line(workload, variant, unit, values, p99, start):
    # Ray works in other processes, so what others took cannot be told from what it took.
    cpu = (all_cpu() - start[1]) / (time.perf_counter() - start[0])
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{workload},{variant},{unit},{min(values):.6g},{statistics.median(values):.6g},"
          f"{p99},{cpu:.2f},{rss},", flush=True)


def run(workload, variant, unit, once):
    once()
    start = time.perf_counter(), all_cpu()
    line(workload, variant, unit, [once() for _ in range(7)], "", start)


def latency(workload, variant, samples, once):
    once()
    start = time.perf_counter(), all_cpu()
    parts = [sorted(once() for _ in range(samples)) for _ in range(7)]
    everything = sorted(sum(parts, []))
    p99 = f"{everything[int(0.99 * (len(everything) - 1))]:.6g}"
    line(workload, variant, "ns", [statistics.median(p) for p in parts], p99, start)


@ray.remote
def echo(x):
    return x


@ray.remote
class Cell:
    def value(self, x):
        return x


def empty():
    n = amount(2000)
    start = time.perf_counter_ns()
    assert sum(ray.get([echo.remote(i) for i in range(n)])) == n * (n - 1) // 2
    return (time.perf_counter_ns() - start) / n


def chain():
    n = amount(1000)
    start = time.perf_counter_ns()
    ref = echo.remote(7)
    for _ in range(n):
        ref = echo.remote(ref)
    assert ray.get(ref) == 7
    return (time.perf_counter_ns() - start) / n


def across():
    start = time.perf_counter_ns()
    assert ray.get(echo.remote(42)) == 42
    return time.perf_counter_ns() - start


def put(size, n):
    data = bytes(size)

    def once():
        start = time.perf_counter_ns()
        for _ in range(n):
            ref = ray.put(data)
        each = (time.perf_counter_ns() - start) / n
        assert len(ray.get(ref)) == size
        return size / each if size >= 1 << 20 else each
    return once


def main():
    wants = lambda workload: len(sys.argv) < 2 or workload in sys.argv[1:]
    ray.init(num_cpus=os.cpu_count(), log_to_driver=False, logging_level="ERROR",
             include_dashboard=False)
    if wants("w1"):
        run("W1", "empty", "ns", empty)
    if wants("w3"):
        run("W3", "chain", "ns", chain)
    if wants("w5"):
        latency("W5", "across-hot", amount(200), across)
    if wants("w6"):
        cells = [Cell.remote(), Cell.remote()]
        ray.get([c.value.remote(0) for c in cells])
        n = amount(200)

        def ping_pong():
            start = time.perf_counter_ns()
            for i in range(n):
                assert ray.get(cells[i % 2].value.remote(i)) == i
            return (time.perf_counter_ns() - start) / n
        run("W6", "ping-pong", "ns", ping_pong)
    if wants("w7"):
        run("W7", "put-64B", "ns", put(64, amount(1000)))
        run("W7", "put-4KiB", "ns", put(4096, amount(1000)))
        run("W7", "put-1MiB", "GB/s", put(1 << 20, amount(100)))
        run("W7", "put-64MiB", "GB/s", put(64 << 20, 2))
    ray.shutdown()


main()
