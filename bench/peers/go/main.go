// The workloads with goroutines and channels: a channel of one is the future.
package main

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

func call(x int) chan int {
	result := make(chan int, 1)
	go func() { result <- x }()
	return result
}

func empty() float64 {
	const round = 1000
	total := amount(1000000)
	refs := make([]chan int, round)
	start := now()
	for done := 0; done < total; done += round {
		sum := 0
		for i := range refs {
			refs[i] = call(i)
		}
		for _, ref := range refs {
			sum += <-ref
		}
		check(sum == round*(round-1)/2, "sum")
	}
	return (now() - start) / float64(total)
}

func efficiency(us float64, n int, perUs float64) func() float64 {
	iterations := int(us * perUs)
	expected := spin(iterations)
	refs := make([]chan uint64, n)
	return func() float64 {
		start := now()
		for i := range refs {
			ref := make(chan uint64, 1)
			refs[i] = ref
			go func() { ref <- spin(iterations) }()
		}
		for _, ref := range refs {
			check(<-ref == expected, "spin")
		}
		return 100 * us * 1e3 * float64(n) / float64(runtime.NumCPU()) / (now() - start)
	}
}

func fib(n int) int {
	if n < 2 {
		return n
	}
	a, b := make(chan int, 1), make(chan int, 1)
	go func() { a <- fib(n - 1) }()
	go func() { b <- fib(n - 2) }()
	return <-a + <-b
}

func fib27() float64 {
	start := now()
	check(fib(27) == 196418, "fib")
	return (now() - start) / 832039
}

func chain() float64 {
	n := amount(200000)
	start := now()
	head := make(chan int, 1)
	last := head
	for i := 0; i < n; i++ {
		before, next := last, make(chan int, 1)
		go func() { next <- 1 + <-before }()
		last = next
	}
	head <- 0
	check(<-last == n, "chain")
	return (now() - start) / float64(n)
}

// By hand: a counter for each cell; one enabled neighbour is gone on with, the other one started.
func wavefront() float64 {
	side := 1
	for (side+1)*(side+1) <= amount(1000000) {
		side++
	}
	line := side + 1
	start := now()
	grid, missing := make([]uint32, line*line), make([]int32, line*line)
	for i := range grid {
		grid[i] = 1
	}
	for y := 1; y <= side; y++ {
		for x := 1; x <= side; x++ {
			if y > 1 {
				missing[y*line+x]++
			}
			if x > 1 {
				missing[y*line+x]++
			}
		}
	}
	done := make(chan bool)
	var cell func(at int)
	cell = func(at int) {
		for next := 0; at != 0; at = next {
			next = 0
			grid[at] = grid[at-line] + grid[at-1]
			if at%line < side && atomic.AddInt32(&missing[at+1], -1) == 0 {
				next = at + 1
			}
			if at/line < side && atomic.AddInt32(&missing[at+line], -1) == 0 {
				if next != 0 {
					go cell(at + line)
				} else {
					next = at + line
				}
			}
			if at == side*line+side {
				done <- true
			}
		}
	}
	go cell(line + 1)
	<-done
	elapsed := now() - start
	row := make([]uint32, side)
	for x := range row {
		row[x] = 1
	}
	for y := 0; y < side; y++ {
		left := uint32(1)
		for x := range row {
			row[x] += left
			left = row[x]
		}
	}
	check(grid[side*line+side] == row[side-1], "wavefront")
	return elapsed / float64(side*side)
}

func roundTrip(cold bool) func() float64 {
	return func() float64 {
		if cold {
			time.Sleep(time.Millisecond)
		}
		start := now()
		value := <-call(42)
		elapsed := now() - start
		check(value == 42, "round trip")
		return elapsed
	}
}

func ring(size, passes int) func() float64 {
	players := make([]chan int, size)
	done := make(chan bool)
	for i := range players {
		players[i] = make(chan int, 1)
	}
	for i := range players {
		in, out := players[i], players[(i+1)%size]
		go func() {
			for left := range in {
				if left > 0 {
					out <- left - 1
				} else {
					done <- true
				}
			}
		}()
	}
	passes = passes / size * size
	return func() float64 {
		start := now()
		players[0] <- passes
		<-done
		return (now() - start) / float64(passes)
	}
}

func fanIn() float64 {
	const senders = 4
	each := amount(100000)
	sink, sum := make(chan int, 1024), make(chan int)
	start := now()
	go func() {
		total := 0
		for i := 0; i < senders*each; i++ {
			total += <-sink
		}
		sum <- total
	}()
	for s := 0; s < senders; s++ {
		go func() {
			for i := 1; i <= each; i++ {
				sink <- i
			}
		}()
	}
	check(<-sum == senders*each*(each+1)/2, "fan-in")
	return (now() - start) / float64(senders*each)
}

func calls() float64 {
	n, sum := amount(100000), 0
	start := now()
	for i := 0; i < n; i++ {
		sum += <-call(i)
	}
	check(sum == n*(n-1)/2, "calls")
	return (now() - start) / float64(n)
}

func stage(in <-chan int, out chan<- int) {
	for x := range in {
		out <- x + 1
	}
	close(out)
}

func pipeline(ahead int) func() float64 {
	return func() float64 {
		n, sum := amount(100000), 0
		numbers, first, second := make(chan int, ahead), make(chan int, ahead), make(chan int, ahead)
		start := now()
		go func() {
			for i := 0; i < n; i++ {
				numbers <- i
			}
			close(numbers)
		}()
		go stage(numbers, first)
		go stage(first, second)
		for x := range second {
			sum += x
		}
		check(sum == n*(n+3)/2, "pipeline")
		return (now() - start) / float64(n)
	}
}

type message struct{ reply chan int }

var bytesEach float64

func create() float64 {
	const round = 1000
	n := amount(100) * round
	actors := make([]chan message, n)
	replies := make([]chan int, round)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := now()
	for done := 0; done < n; done += round {
		for i := 0; i < round; i++ {
			box, value := make(chan message, 8), i
			actors[done+i] = box
			go func() {
				for m := range box {
					m.reply <- value
				}
			}()
			replies[i] = make(chan int, 1)
			box <- message{replies[i]}
		}
		for i, reply := range replies {
			check(<-reply == i, "create")
		}
	}
	elapsed := now() - start
	runtime.ReadMemStats(&after)
	if bytesEach == 0 {
		used := after.HeapInuse + after.StackInuse - before.HeapInuse - before.StackInuse
		bytesEach = float64(used) / float64(n)
	}
	for _, box := range actors {
		close(box)
	}
	return elapsed / float64(n)
}

type store struct {
	sync.RWMutex
	objects map[int][]byte
}

func putGet(name string, size, n int) {
	s := store{objects: map[int][]byte{}}
	data := bytes.Repeat([]byte{7}, size)
	unit, figure := "ns", func(elapsed float64) float64 { return elapsed / float64(n) }
	if size >= 1<<20 {
		unit = "GB/s"
		figure = func(elapsed float64) float64 { return float64(size) * float64(n) / elapsed }
	}
	run("W7", "put-"+name, unit, func() float64 {
		start := now()
		for i := 0; i < n; i++ {
			object := append([]byte(nil), data...)
			s.Lock()
			s.objects[0] = object
			s.Unlock()
		}
		result := figure(now() - start)
		check(bytes.Equal(s.objects[0], data), "put")
		return result
	})
	run("W7", "get-"+name, "ns", func() float64 {
		const gets = 100000
		sum := 0
		start := now()
		for i := 0; i < gets; i++ {
			s.RLock()
			sum += len(s.objects[0])
			s.RUnlock()
		}
		check(sum == gets*size, "get")
		return (now() - start) / gets
	})
}

func main() {
	perUs := spinsPerUs()
	if wants("w1") {
		run("W1", "empty", "ns", empty)
		run("W1", "1us", "%", efficiency(1, amount(100000), perUs))
		run("W1", "10us", "%", efficiency(10, amount(100000)/10, perUs))
	}
	if wants("w2") {
		run("W2", "fib", "ns", fib27)
	}
	if wants("w3") {
		run("W3", "chain", "ns", chain)
	}
	if wants("w4") {
		run("W4", "wavefront-by-hand", "ns", wavefront)
	}
	if wants("w5") {
		latency("W5", "across-hot", amount(10000), roundTrip(false))
		latency("W5", "across-cold", amount(200), roundTrip(true))
	}
	if wants("w6") {
		run("W6", "create", "ns", create)
		value("W6", "bytes", "B", bytesEach)
		run("W6", "ping-pong", "ns", ring(2, amount(500000)))
		run("W6", "ring", "ns", ring(503, amount(500000)+503))
		run("W6", "fan-in", "ns", fanIn)
		run("W6", "fan-in-bounded", "ns", fanIn)
	}
	if wants("w7") {
		putGet("64B", 64, amount(300000))
		putGet("4KiB", 4096, amount(100000))
		putGet("1MiB", 1<<20, amount(300))
		putGet("64MiB", 64<<20, 4)
	}
	if wants("w8") {
		run("W8", "call", "ns", calls)
		for _, ahead := range []int{1, 4, 64, 1000} {
			run("W8", fmt.Sprintf("stream-%d", ahead), "ns", pipeline(ahead))
		}
	}
}
