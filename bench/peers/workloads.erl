%% workloads: the workloads with Erlang's processes, and the same lines as bench.h.
%% erl +P 2000000 -noshell -pa DIR -run workloads main [workload...] -s init stop
-module(workloads).
-export([main/0, main/1]).

now_ns() -> erlang:monotonic_time(nanosecond).

setting(Name, Otherwise) ->
    case os:getenv(Name) of false -> Otherwise; Text -> list_to_integer(Text) end.
amount(N) -> max(1, N div setting("BENCH_SCALE", 1)).

own_cpu() -> {Ms, _} = erlang:statistics(runtime), Ms / 1000.
all_cpu() ->
    {ok, File} = file:open("/proc/stat", [read]),
    {ok, Line} = file:read_line(File),
    file:close(File),
    [_ | Fields] = string:lexemes(string:trim(Line), " "),
    [User, Nice, Kernel, _, _, Irq, Soft, Steal | _] = [list_to_integer(F) || F <- Fields],
    (User + Nice + Kernel + Irq + Soft + Steal) / 100.
resident(Key) ->
    {ok, Text} = file:read_file("/proc/self/status"),
    {match, [Kib]} = re:run(Text, Key ++ ":\\s+([0-9]+)", [{capture, [1], list}]),
    list_to_integer(Kib).

quantile(Sorted, Part) ->
    lists:nth(1 + round(Part * (length(Sorted) - 1)), Sorted).

run(Workload, Variant, Unit, Once) ->
    Once(),
    Start = {now_ns(), own_cpu(), all_cpu()},
    Repeats = max(7, setting("BENCH_REPEATS", 7)),
    line(Workload, Variant, Unit, [Once() || _ <- lists:seq(1, Repeats)], "", Start).

value(Workload, Variant, Unit, Value) ->
    io:format("~s,~s,~s,~.3f,~.3f,,,~b,~n",
              [Workload, Variant, Unit, float(Value), float(Value), resident("VmHWM")]).

latency(Workload, Variant, Samples, Once) ->
    Once(),
    Start = {now_ns(), own_cpu(), all_cpu()},
    Parts = [lists:sort([Once() || _ <- lists:seq(1, Samples)]) || _ <- lists:seq(1, 7)],
    P99 = io_lib:format("~.1f", [float(quantile(lists:sort(lists:append(Parts)), 0.99))]),
    line(Workload, Variant, "ns", [quantile(P, 0.5) || P <- Parts], P99, Start).

line(Workload, Variant, Unit, Values, P99, {Wall0, Own0, All0}) ->
    Wall = (now_ns() - Wall0) / 1.0e9,
    Own = own_cpu() - Own0,
    Cores = erlang:system_info(logical_processors_online),
    Others = max(0.0, (all_cpu() - All0 - Own) / (Wall * Cores)),
    Sorted = lists:sort(Values),
    io:format("~s,~s,~s,~.3f,~.3f,~s,~.2f,~b,~.2f~n",
              [Workload, Variant, Unit, float(hd(Sorted)), float(quantile(Sorted, 0.5)), P99,
               Own / Wall, resident("VmHWM"), Others]).

%% A call: a process that sends its result.
call(F) -> Self = self(), Ref = make_ref(), spawn(fun() -> Self ! {Ref, F()} end), Ref.
result(Ref) -> receive {Ref, Value} -> Value end.

empty() ->
    Rounds = amount(300),
    Start = now_ns(),
    [begin
         Refs = [call(fun() -> I end) || I <- lists:seq(1, 1000)],
         500500 = lists:sum([result(R) || R <- Refs])
     end || _ <- lists:seq(1, Rounds)],
    (now_ns() - Start) / (Rounds * 1000).

fib(N) when N < 2 -> N;
fib(N) ->
    A = call(fun() -> fib(N - 1) end),
    B = call(fun() -> fib(N - 2) end),
    result(A) + result(B).
fib22() -> Start = now_ns(), 17711 = fib(22), (now_ns() - Start) / 57313.

chain() ->
    N = amount(200000),
    Start = now_ns(),
    Self = self(),
    Last = lists:foldl(fun(_, Next) -> spawn(fun() -> receive V -> Next ! V + 1 end end) end,
                       Self, lists:seq(1, N)),
    Last ! 0,
    N = receive V -> V end,
    (now_ns() - Start) / N.

round_trip(Cold) ->
    Cold andalso timer:sleep(1),
    Start = now_ns(),
    42 = result(call(fun() -> 42 end)),
    now_ns() - Start.

player(Next, Done) ->
    receive
        {meet, Other} -> player(Other, Done);
        0 -> Done ! done, player(Next, Done);
        Left -> Next ! Left - 1, player(Next, Done)
    end.

ring(Size, Passes0) ->
    Passes = Passes0 div Size * Size,
    Self = self(),
    Players = [spawn(fun() -> player(none, Self) end) || _ <- lists:seq(1, Size)],
    Pairs = lists:zip(Players, tl(Players) ++ [hd(Players)]),
    lists:foreach(fun({P, Q}) -> P ! {meet, Q} end, Pairs),
    Once = fun() ->
        Start = now_ns(),
        hd(Players) ! Passes,
        receive done -> ok end,
        (now_ns() - Start) / Passes
    end,
    {Players, Once}.
ring_run(Name, Size, Passes) ->
    {Players, Once} = ring(Size, Passes),
    run("W6", Name, "ns", Once),
    [exit(P, kill) || P <- Players].

sink(0, Sum, Done) -> Done ! Sum;
sink(N, Sum, Done) -> receive V -> sink(N - 1, Sum + V, Done) end.
fan_in() ->
    Each = amount(100000),
    Self = self(),
    Start = now_ns(),
    Sink = spawn(fun() -> sink(4 * Each, 0, Self) end),
    [spawn(fun() -> [Sink ! I || I <- lists:seq(1, Each)] end) || _ <- lists:seq(1, 4)],
    Expected = 4 * (Each * (Each + 1) div 2),
    Expected = receive V -> V end,
    (now_ns() - Start) / (4 * Each).

cell(Value) -> receive stop -> ok; {From, Ref} -> From ! {Ref, Value}, cell(Value) end.
create() ->
    Rounds = amount(100),
    Before = erlang:memory(processes),
    Start = now_ns(),
    Cells = [begin
        Pairs = [begin P = spawn(fun() -> cell(I) end), R = make_ref(), P ! {self(), R}, {P, R} end
                 || I <- lists:seq(1, 1000)],
        500500 = lists:sum([result(R) || {_, R} <- Pairs]),
        [P || {P, _} <- Pairs]
     end || _ <- lists:seq(1, Rounds)],
    Time = (now_ns() - Start) / (Rounds * 1000),
    put(bytes, (erlang:memory(processes) - Before) / (Rounds * 1000)),
    [P ! stop || P <- lists:append(Cells)],
    Time.

main() -> main([]).
main(Arguments) ->
    Wants = fun(W) -> Arguments == [] orelse lists:member(W, Arguments) end,
    Wants("w1") andalso run("W1", "empty", "ns", fun empty/0),
    Wants("w2") andalso run("W2", "fib", "ns", fun fib22/0),
    Wants("w3") andalso run("W3", "chain", "ns", fun chain/0),
    Wants("w5") andalso latency("W5", "across-hot", amount(10000), fun() -> round_trip(false) end),
    Wants("w5") andalso latency("W5", "across-cold", amount(200), fun() -> round_trip(true) end),
    Wants("w6") andalso begin
        run("W6", "create", "ns", fun create/0),
        value("W6", "bytes", "B", get(bytes)),
        ring_run("ping-pong", 2, amount(500000)),
        ring_run("ring", 503, amount(500000) + 503),
        run("W6", "fan-in", "ns", fun fan_in/0)
    end,
    halt(0).
