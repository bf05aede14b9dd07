// How the blocks of a grid exchange, with a thread for each block: every value must arrive in every round, under
// ThreadSanitizer without a race; and who waits in vain must give up.

#define FASTRNN_THREADED_BLOCKS

#include <chrono>
#include <thread>
#include <vector>

#include "cuda/exchange.h"
#include "testing/check.h"

namespace fastrnn {
namespace cuda_threaded {

uint64_t nanoseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return uint64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

namespace {

using testing::check;

constexpr int kRows = 3, kUnits = 3;  // odd, so that a word may hold numbers of two blocks

Placement grid_of(int slices, int itemsize) {
  Placement place;
  place.itemsize = itemsize;
  place.mode = Mode::kGrid;
  place.slices = slices;
  place.units = kUnits;
  place.groups = 2;
  place.group_rows = kRows;
  place.operand_pitch = (kUnits * slices + 7) / 8 * 8;
  place.operand_at = 4;
  place.operand_stride = kRows * place.operand_pitch * itemsize / 4;
  place.shared_floats = place.operand_at + place.operand_stride;
  return place;
}

/// A small number, which every type holds exactly.
float value_of(int team, int round, int row, int column) {
  return float((((team * 31 + round) * kRows + row) * 13 + column) % 251);
}

/// Jitter, so that blocks overtake one another by as much as the protocol lets them.
void dawdle(int block, int round) {
  if ((block * 7 + round * 13) % 5 == 0) std::this_thread::yield();
  if ((block * 31 + round * 17) % 97 == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
}

/// One block's life; how many values it found wrong, -1 where it gave up.
template <class T>
int run_block(const Placement& place, const Workspace& work, int block, int rounds, int absent) {
  const int team = block / place.slices, slice = block % place.slices;
  if (block == absent) return 0;
  std::vector<float> shared(size_t(place.shared_floats));
  Exchange<T> exchange(place, work, shared.data(), team);
  exchange.start();
  const int depth = kUnits * place.slices;
  int wrong = 0;
  for (int round = 1; round <= rounds; ++round) {
    dawdle(block, round);
    for (int row = 0; row < kRows; ++row)
      for (int u = 0; u < kUnits; ++u)
        exchange.publish(round, row, slice * kUnits + u, value_of(team, round, row, slice * kUnits + u));
    if (!exchange.finish(round, kRows, depth)) return -1;
    const T* const operand = exchange.operand(round);
    for (int row = 0; row < kRows; ++row)
      for (int column = 0; column < depth; ++column)
        wrong += Storage<T>::load(operand[row * place.operand_pitch + column]) != value_of(team, round, row, column);
  }
  return wrong;
}

struct Outcome {
  int wrong = 0, gave_up = 0;
  bool flagged = false;
};

template <class T>
Outcome run_grid(int slices, int rounds, int absent, uint64_t patience) {
  const Placement place = grid_of(slices, int(sizeof(T)));
  const int blocks = place.blocks(1);
  std::vector<float> ring(size_t(place.ring_bytes(1) / 4), -1.0f);
  std::vector<uint32_t> counters(size_t(place.counters(1)), 0);
  uint32_t failed = 0;
  const Workspace work{ring.data(), counters.data(), nullptr, &failed, patience};
  std::vector<int> results(size_t(blocks), 0);
  std::vector<std::thread> threads;
  for (int block = 0; block < blocks; ++block)
    threads.emplace_back([&, block] { results[size_t(block)] = run_block<T>(place, work, block, rounds, absent); });
  for (std::thread& thread : threads) thread.join();
  Outcome outcome;
  for (const int result : results) {
    if (result < 0)
      ++outcome.gave_up;
    else
      outcome.wrong += result;
  }
  outcome.flagged = failed != 0;
  return outcome;
}

}  // namespace
}  // namespace cuda_threaded
}  // namespace fastrnn

int main() {
  using namespace fastrnn;
  using cuda_threaded::run_grid;
  for (const int slices : {1, 2, 5}) {
    for (const auto& run : {run_grid<float>, run_grid<cuda::Bfloat16>, run_grid<cuda::Float16>}) {
      const auto all = run(slices, 3000, -1, uint64_t(60) * 1000000000);
      testing::check(all.wrong == 0 && all.gave_up == 0 && !all.flagged, "every value arrives in every round");
    }
  }
  const auto without = run_grid<float>(3, 2, 4, 20 * 1000000);
  testing::check(without.gave_up == 2, "the other blocks of the group give up: " + std::to_string(without.gave_up));
  testing::check(without.wrong == 0, "the other group is not concerned");
  testing::check(without.flagged, "it is told");
  printf("%d passed, %d failed\n", testing::passed, testing::failed);
  return testing::failed ? 1 : 0;
}
