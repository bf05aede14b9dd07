#pragma once
// A grid with a thread of the machine for each block, for programs that test how blocks exchange: to be included before
// anything else of the kernels.

#define FASTRNN_THREADED_BLOCKS

#include <chrono>
#include <thread>
#include <vector>

#include "cuda/exchange.h"

namespace fastrnn {
namespace cuda_threaded {

inline uint64_t nanoseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return uint64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

/// Jitter, so that blocks overtake one another by as much as the protocol lets them.
inline void jitter(int block, int round) {
  if ((block * 7 + round * 13) % 5 == 0) std::this_thread::yield();
  if ((block * 31 + round * 17) % 97 == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
}

/// Of all blocks: how many values they found wrong, and how many of them gave up.
struct Outcome {
  int wrong = 0, gave_up = 0;
  bool flagged = false;
};

/// `run_block` takes the workspace and a block's number, and returns what that found wrong, or -1 where it gave up.
template <class RunBlock>
Outcome run_blocks(const Placement& place, void* ring, uint64_t patience, const RunBlock& run_block) {
  const int blocks = place.blocks(1);
  std::vector<uint32_t> counters(size_t(place.counters(1)), 0);
  uint32_t failed = 0;
  const Workspace work{ring, counters.data(), nullptr, &failed, patience};
  std::vector<int> results(size_t(blocks), 0);
  std::vector<std::thread> threads;
  for (int block = 0; block < blocks; ++block)
    threads.emplace_back([&, block] { results[size_t(block)] = run_block(work, block); });
  for (std::thread& thread : threads) thread.join();
  Outcome outcome;
  for (const int result : results) {
    outcome.gave_up += result < 0;
    outcome.wrong += result < 0 ? 0 : result;
  }
  outcome.flagged = failed != 0;
  return outcome;
}

}  // namespace cuda_threaded
}  // namespace fastrnn
