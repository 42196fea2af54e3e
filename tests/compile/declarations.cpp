// The declarations in C++: an RAII owner over the functions, linked with a C unit.
#include "rustyray.h"
#include "rustyray.h"
#include <cstdio>
struct runtime {
    runtime() { status = rr_init(nullptr); }
    ~runtime() { rr_shutdown(); }
    rr_status status;
};
int main() {
    runtime r;
    rr_scope scope = rr_scope_begin();
    rr_bytes bytes = rr_bytes_of("abc", 3);
    rr_stats stats{};
    rr_get_stats(&stats);
    rr_actor nobody{};
    bool fine = r.status == RR_OK && bytes.size == 3 && stats.workers > 0 &&
                rr_find_actor("nobody", &nobody) == RR_ERR_NOT_FOUND && rr_ready(rr_ref{}) &&
                rr_error_code(rr_ref{}) == 0 && rr_error_message(rr_ref{}) != nullptr;
    rr_scope_end(scope);
    std::puts(fine ? "works" : "fails");
    return !fine;
}
