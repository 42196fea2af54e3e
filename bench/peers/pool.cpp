// pool: what a C++ programmer writes without a library: threads, a queue with a lock, and
// std::packaged_task with a future for each call. With -DUSE_ASYNC the same through std::async,
// which makes a thread for each call. Waiting inside a task would block the pool: no W2.
#include "peer.h"
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <unordered_map>

#ifdef USE_ASYNC
enum { SLOWER = 50, AT_ONCE = 100 }; // a thread per call: fewer calls
template <class F> static auto submit(F f) { return std::async(std::launch::async, std::move(f)); }
#else
enum { SLOWER = 1, AT_ONCE = ROUND };
class pool {
    std::mutex lock;
    std::condition_variable wake;
    std::deque<std::function<void()>> queue;
    bool ending = false;
    std::vector<std::thread> threads;
    void work() {
        for (;;) {
            std::unique_lock<std::mutex> hold(lock);
            wake.wait(hold, [this] { return ending || !queue.empty(); });
            if (queue.empty()) return;
            auto task = std::move(queue.front());
            queue.pop_front();
            hold.unlock();
            task();
        }
    }

  public:
    pool() {
        for (long i = 0; i < bench_cores(); i++) threads.emplace_back([this] { work(); });
    }
    ~pool() {
        {
            std::lock_guard<std::mutex> hold(lock);
            ending = true;
        }
        wake.notify_all();
        for (auto &thread : threads) thread.join();
    }
    template <class F> auto submit(F f) {
        auto task = std::make_shared<std::packaged_task<decltype(f())()>>(std::move(f));
        auto result = task->get_future();
        {
            std::lock_guard<std::mutex> hold(lock);
            queue.emplace_back([task] { (*task)(); });
        }
        wake.notify_one();
        return result;
    }
};
static pool *the_pool;
template <class F> static auto submit(F f) { return the_pool->submit(std::move(f)); }
#endif

static double empty(void *) {
    const long total = bench_amount(400000) / SLOWER;
    std::vector<std::future<long>> refs(AT_ONCE);
    long done = 0;
    double start = bench_now();
    for (; done < total; done += AT_ONCE) {
        long sum = 0;
        for (long i = 0; i < AT_ONCE; i++) refs[i] = submit([i] { return i; });
        for (auto &ref : refs) sum += ref.get();
        BENCH_CHECK(sum == (long)AT_ONCE * (AT_ONCE - 1) / 2);
    }
    return (bench_now() - start) / double(done);
}

static double efficiency(void *body) {
    auto spawn = [](std::vector<uint64_t> &results, long iterations) {
        std::vector<std::future<uint64_t>> refs(SLOWER > 1 ? size_t(AT_ONCE) : results.size());
        for (size_t done = 0; done < results.size(); done += refs.size()) {
            size_t n = std::min(refs.size(), results.size() - done);
            for (size_t i = 0; i < n; i++)
                refs[i] = submit([iterations] { return bench_spin(iterations); });
            for (size_t i = 0; i < n; i++) results[done + i] = refs[i].get();
        }
    };
    return peer_efficiency(*static_cast<peer_body *>(body), spawn);
}

static double chain(void *) {
    const long n = bench_amount(200000);
    double start = bench_now();
    std::promise<long> head;
    head.set_value(0);
    std::shared_future<long> last = head.get_future().share();
    for (long i = 0; i < n; i++) last = submit([last] { return last.get() + 1; }).share();
    BENCH_CHECK(last.get() == n);
    return (bench_now() - start) / double(n);
}

static double across(void *cold) {
    return peer_round_trip(cold, [] { return submit([] { return 42L; }).get(); });
}

// A map with a lock, as a store: values are shared, so that a get copies nothing.
struct store {
    std::mutex lock;
    std::unordered_map<long, std::shared_ptr<char[]>> objects;
    std::vector<char> data;
    long n;
};

static double figure(const store *s, double start) {
    double each = (bench_now() - start) / double(s->n);
    return s->data.size() < 1 << 20 ? each : double(s->data.size()) / each;
}

static double put(void *context) {
    store *s = static_cast<store *>(context);
    double start = bench_now();
    for (long i = 0; i < s->n; i++) {
        std::shared_ptr<char[]> object(new char[s->data.size()]);
        memcpy(object.get(), s->data.data(), s->data.size());
        std::lock_guard<std::mutex> hold(s->lock);
        s->objects[i] = std::move(object);
        s->objects.erase(i - 1);
    }
    double result = figure(s, start);
    BENCH_CHECK(!memcmp(s->objects[s->n - 1].get(), s->data.data(), s->data.size()));
    s->objects.clear();
    return result;
}

static double get(void *context) {
    store *s = static_cast<store *>(context);
    long sum = 0;
    s->objects[1] = std::shared_ptr<char[]>(new char[s->data.size()]{1});
    double start = bench_now();
    for (long i = 0; i < 100000; i++) {
        std::lock_guard<std::mutex> hold(s->lock);
        std::shared_ptr<char[]> view = s->objects[1];
        sum += view[0];
    }
    BENCH_CHECK(sum == 100000);
    return (bench_now() - start) / 100000;
}

static void objects(const char *name, size_t size, long n) {
    char puts[32], gets[32];
    snprintf(puts, sizeof puts, "put-%s", name), snprintf(gets, sizeof gets, "get-%s", name);
    store s;
    s.data.assign(size, 7), s.n = n;
    bench_run("W7", puts, size < 1 << 20 ? "ns" : "GB/s", put, &s);
    bench_run("W7", gets, "ns", get, &s);
}

int main(int argc, char **argv) {
    bench_begin(argc, argv);
#ifndef USE_ASYNC
    pool threads;
    the_pool = &threads;
#endif
    if (bench_wants("w1")) peer_w1(empty, efficiency, bench_amount(100000) / SLOWER);
    if (SLOWER == 1 && bench_wants("w3")) bench_run("W3", "chain", "ns", chain, nullptr);
    if (bench_wants("w5")) peer_across(across, bench_amount(10000) / SLOWER + 1);
    if (SLOWER == 1 && bench_wants("w7")) {
        objects("64B", 64, bench_amount(300000));
        objects("4KiB", 4096, bench_amount(100000));
        objects("1MiB", 1 << 20, bench_amount(300));
        objects("64MiB", 64 << 20, 4);
    }
}
