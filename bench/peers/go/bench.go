package main

// The same measuring as in bench.h, and the same lines.

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var began = time.Now()

func now() float64 { return float64(time.Since(began).Nanoseconds()) }

func setting(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

func amount(n int) int {
	if n /= setting("BENCH_SCALE", 1); n > 1 {
		return n
	}
	return 1
}

func repeats() int {
	if n := setting("BENCH_REPEATS", 7); n > 7 {
		return n
	}
	return 7
}

func check(holds bool, what string) {
	if !holds {
		fmt.Fprintln(os.Stderr, "wrong result:", what)
		os.Exit(1)
	}
}

func wants(workload string) bool {
	for _, name := range os.Args[1:] {
		if strings.EqualFold(name, workload) {
			return true
		}
	}
	return len(os.Args) < 2
}

type meter struct{ wall, own, all float64 }

func usage() syscall.Rusage {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u
}

func allCPU() (sum float64) {
	file, err := os.Open("/proc/stat")
	if err != nil {
		return 0
	}
	defer file.Close()
	line, _ := bufio.NewReader(file).ReadString('\n')
	for i, field := range strings.Fields(line) {
		if ticks, err := strconv.ParseFloat(field, 64); err == nil && i != 4 && i != 5 && i < 9 {
			sum += ticks / 100
		}
	}
	return sum
}

func measure() meter {
	u := usage()
	own := time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
	return meter{now() / 1e9, own, allCPU()}
}

func quantile(sorted []float64, part float64) float64 {
	at := part * float64(len(sorted)-1)
	low := int(at)
	if low+1 == len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

func line(workload, variant, unit string, values []float64, p99 string, start meter) {
	end := measure()
	wall, own := end.wall-start.wall, end.own-start.own
	others := (end.all - start.all - own) / (wall * float64(runtime.NumCPU()))
	if others < 0 {
		others = 0
	}
	sort.Float64s(values)
	u := usage()
	fmt.Printf("%s,%s,%s,%.6g,%.6g,%s,%.2f,%d,%.2f\n", workload, variant, unit, values[0],
		quantile(values, 0.5), p99, own/wall, u.Maxrss, others)
}

func run(workload, variant, unit string, once func() float64) {
	once()
	values := make([]float64, repeats())
	start := measure()
	for i := range values {
		values[i] = once()
	}
	line(workload, variant, unit, values, "", start)
}

func value(workload, variant, unit string, value float64) {
	u := usage()
	fmt.Printf("%s,%s,%s,%.6g,%.6g,,,%d,\n", workload, variant, unit, value, value, u.Maxrss)
}

func latency(workload, variant string, samples int, once func() float64) {
	for i := 0; i < samples/4+1; i++ {
		once()
	}
	start := measure()
	var medians, all []float64
	for r := 0; r < repeats(); r++ {
		part := make([]float64, samples)
		for i := range part {
			part[i] = once()
		}
		sort.Float64s(part)
		medians, all = append(medians, quantile(part, 0.5)), append(all, part...)
	}
	sort.Float64s(all)
	line(workload, variant, "ns", medians, fmt.Sprintf("%.6g", quantile(all, 0.99)), start)
}

func spin(iterations int) uint64 {
	x := uint64(iterations)
	for i := 0; i < iterations; i++ {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

func spinsPerUs() float64 {
	const length = 200000
	best := 1e18
	for i := 0; i < 50; i++ {
		start := now()
		check(spin(length) != 1, "spin")
		if t := now() - start; t < best {
			best = t
		}
	}
	return length / best * 1e3
}
