// A grid whose one block never publishes: all threads of the others must leave, together.

#include <vector>

#include "cuda/exchange.h"
#include "testing/check.h"
#include "testing/cuda_emulation_test.h"

namespace fastrnn {
namespace cuda_emulated {
namespace {

constexpr int kUnits = 4, kThreads = 6;

Placement grid_of(Handover exchange, int itemsize) {
  Placement place;
  place.itemsize = itemsize;
  place.mode = Mode::kGrid;
  place.exchange = exchange;
  place.slices = 2;
  place.units = kUnits;
  place.groups = place.group_rows = 1;
  place.operand_pitch = 8;
  place.operand_at = 4;
  place.operand_stride = place.operand_pitch * itemsize / 4;
  place.shared_floats = place.operand_at + place.operand_stride;
  return place;
}

/// How many threads of the other block were told so. Some wait for its words, some have theirs, some have none to read.
template <class T>
int threads_that_give_up(Handover exchange, int absent, uint32_t* failed) {
  const Placement place = grid_of(exchange, int(sizeof(T)));
  std::vector<uint64_t> ring(size_t(place.ring_bytes(1) / 8), 0);
  uint32_t counter = 0;
  int told = 0;
  emulation::LaunchShape shape;
  shape.blocks = 2;
  shape.threads = kThreads;
  shape.shared_bytes = place.shared_floats * 4;
  shape.cooperative = true;
  emulation::launch(shape, [&] {
    if (block_index() == absent) return;
    const Workspace work{ring.data(), &counter, nullptr, failed, 1000};
    Exchange<T> here(place, work, static_cast<float*>(shared_memory()), 0);
    here.start();
    if (thread_index() < kUnits) here.publish(1, 0, block_index() * kUnits + thread_index(), 1.0f);
    const bool came = here.finish(1, 1, 2 * kUnits);
    told += came ? 0 : 1;
  });
  return told;
}

template <class T>
void test_absence(Handover exchange) {
  uint32_t failed = 0;
  testing::check(threads_that_give_up<T>(exchange, -1, &failed) == 0 && failed == 0, "nobody gives up where all come");
  for (const int absent : {0, 1}) {
    failed = 0;
    testing::check(threads_that_give_up<T>(exchange, absent, &failed) == kThreads && failed == 1,
                   "all threads of a block give up together, and tell it");
  }
}

}  // namespace
}  // namespace cuda_emulated

namespace testing {

void test_emulated_exchange() {
  emulation::settings().patience = 1 << 20;  // not before the kernel's own ends
  emulation::settings().turn_nanoseconds = 1;
  for (const cuda::Handover exchange : {cuda::Handover::kCounter, cuda::Handover::kTagged}) {
    cuda_emulated::test_absence<float>(exchange);
    cuda_emulated::test_absence<cuda::Bfloat16>(exchange);
  }
  emulation::settings() = emulation::Settings();
}

}  // namespace testing
}  // namespace fastrnn
