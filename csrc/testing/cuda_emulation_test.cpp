#include "testing/cuda_emulation_test.h"

#include <math.h>

#include <string>
#include <vector>

#include "testing/check.h"
#include "testing/cuda_emulation.h"
#include "testing/half_numbers.h"

namespace fastrnn {
namespace testing {
namespace {

using namespace emulation;

/// What the launch throws, or nothing.
std::string error_of(const LaunchShape& shape, const std::function<void()>& body) {
  try {
    launch(shape, body);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

void test_indices() {
  std::vector<int> seen(size_t(5 * 70), 0);
  launch({5, 70}, [&] {
    check(num_threads() == 70 && num_blocks() == 5, "sizes");
    ++seen[size_t(block_index() * 70 + thread_index())];
  });
  bool once = true;
  for (const int count : seen) once = once && count == 1;
  check(once, "every thread of every block runs once");
}

/// A sum by halves, which needs each of its barriers.
float block_sum(bool forget_barrier) {
  float result = 0;
  launch({1, 64, 64 * sizeof(float)}, [&] {
    float* const values = static_cast<float*>(shared_memory());
    const int t = thread_index();
    if (t == 0) check(isnan(values[0]) && isnan(values[63]), "shared memory starts as NaN");
    sync_block();
    values[t] = float(t);
    for (int half = 32; half > 0; half /= 2) {
      if (!forget_barrier || half < 32) sync_block();
      if (t < half) values[t] += values[t + half];
    }
    if (t == 0) result = values[0];
  });
  return result;
}

void test_barriers() {
  int wrong = 0;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    settings().seed = seed;
    check(block_sum(false) == 2016, "a sum by halves");
    wrong += block_sum(true) != 2016;
  }
  check(wrong == 10, "a barrier that is missing shows with every seed");
  settings().seed = 1;
  const std::string error = error_of({1, 64}, [] {
    if (thread_index() != 3) sync_block();
  });
  check(contains(error, "a thread has left"), "a barrier that one thread leaves out: " + error);
  const std::string cluster_error = error_of({2, 32, 0, 2}, [] {
    if (block_index() == 0) sync_cluster();
  });
  check(contains(cluster_error, "a thread has left"), "a cluster's barrier without a block: " + cluster_error);
  const std::string crossed = error_of({2, 32, 0, 2}, [] {
    if (thread_index() < 16)
      sync_block();
    else
      sync_cluster();
  });
  check(contains(crossed, "no thread can go on"), "two barriers at once: " + crossed);
}

void test_warps() {
  launch({1, 96}, [] {
    const int mine = thread_index() * 10;
    int all[32];
    exchange_warp(&mine, sizeof mine, all);
    bool right = true;
    for (int lane = 0; lane < 32; ++lane) right = right && all[lane] == (thread_index() / 32 * 32 + lane) * 10;
    check(right, "lanes see each other's values");
  });
  const std::string error = error_of({1, 32}, [] {
    const double mine = 1;
    double all[32];
    exchange_warp(&mine, thread_index() < 8 ? 4 : 8, all);
  });
  check(contains(error, "different exchanges"), "lanes at different exchanges: " + error);
}

void test_clusters() {
  launch({6, 32, 3 * sizeof(int), 3}, [] {
    int* const own = static_cast<int*>(shared_memory());
    check(cluster_size() == 3 && cluster_rank() == block_index() % 3, "rank in the cluster");
    sync_cluster();  // no block may write into one that has not started
    if (thread_index() < 3) static_cast<int*>(map_shared(own, thread_index()))[cluster_rank()] = block_index();
    sync_cluster();
    const int first = block_index() / 3 * 3;
    check(own[0] == first && own[1] == first + 1 && own[2] == first + 2, "blocks write into each other's memory");
  });
  int elsewhere = 0;
  check(contains(error_of({2, 1, 16, 2}, [&] { map_shared(&elsewhere, 1); }), "not in shared memory"),
        "only shared memory is mapped");
  check(contains(error_of({2, 1, 16, 2}, [] { map_shared(shared_memory(), 2); }), "no such block"),
        "only blocks of the cluster are mapped");
}

/// Each block waits for the one before it.
std::string chain(int blocks, bool cooperative, bool broken) {
  std::vector<int> done(size_t(blocks), 0);
  return error_of({blocks, 32, 0, 1, cooperative}, [&] {
    const int me = block_index();
    while (me > 0 && !done[size_t(me - 1)]) wait_turn();
    sync_block();
    if (thread_index() == 0 && !(broken && me == 2)) {
      done[size_t(me)] = 1;
      wrote();
    }
  });
}

void test_waiting() {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    settings().seed = seed;
    check(chain(6, true, false).empty(), "blocks that run at once may wait for one another");
    const std::string error = chain(6, true, true);
    check(contains(error, "another thread's write"), "waiting for what never comes: " + error);
    check(!chain(6, false, false).empty(), "blocks that need not run at once must not");
  }
  settings().seed = 1;
  settings().resident_blocks = 5;
  check(contains(chain(6, true, false), "too many blocks"), "a launch that does not fit is refused");
  settings() = Settings();
  check(contains(error_of({1, 32, 300 << 10}, [] {}), "too much shared memory"), "too much shared memory is refused");
  check(contains(error_of({1, 2000}, [] {}), "invalid configuration"), "too many threads are refused");
  check(contains(error_of({1, 32}, [] { throw std::runtime_error("own words"); }), "own words"),
        "a thread's exception comes out");
}

template <class Half>
bool narrows_to(float x, uint32_t bits) {
  Half half;
  narrow(x, &half);
  return half.bits == bits;
}

/// Every number of 16 bits: that it comes back as it went, and that what lies between it and the next one goes to the
/// nearer of both, from the middle to the even one.
template <class Half>
void test_half(uint32_t infinity) {
  bool same = true, nearest = true, special = true;
  for (uint32_t sign : {0u, 0x8000u})
    for (uint32_t bits = 0; bits < infinity; ++bits) {
      const double low = widen(Half{uint16_t(sign | bits)});
      const double next = bits + 1 < infinity ? double(widen(Half{uint16_t(sign | (bits + 1))}))
                                              : 2 * low - widen(Half{uint16_t(sign | (bits - 1))});
      same = same && narrows_to<Half>(float(low), sign | bits);
      if (next > 3e38 || next < -3e38) continue;  // the middle is no float
      const float middle = float((low + next) / 2), nearer = nextafterf(middle, float(low));
      nearest = nearest && narrows_to<Half>(middle, sign | ((bits & 1) + bits)) &&
                narrows_to<Half>(nearer, sign | bits) &&
                narrows_to<Half>(nextafterf(middle, float(next)), sign | (bits + 1));
    }
  for (const float sign : {1.0f, -1.0f}) {
    special = special && narrows_to<Half>(sign * INFINITY, (sign < 0 ? 0x8000 : 0) | infinity);
    special = special && isinf(widen(Half{uint16_t((sign < 0 ? 0x8000 : 0) | infinity)}));
  }
  Half half;
  narrow(NAN, &half);
  special = special && isnan(widen(half)) && isnan(widen(Half{uint16_t(infinity + 1)}));
  check(same, "halves come back as they went");
  check(nearest, "to the nearest half, ties to even");
  check(special, "infinity and NaN are kept");
}

}  // namespace

void test_emulation() {
  test_indices();
  test_barriers();
  test_warps();
  test_clusters();
  test_waiting();
  test_emulated_exchange();
  test_half<cuda::Bfloat16>(0x7f80);
  test_half<cuda::Float16>(0x7c00);
}

}  // namespace testing
}  // namespace fastrnn
