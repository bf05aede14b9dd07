#pragma once
// A GPU in plain C++, for running the source of kernels where there is none: every thread of a block is a fibre with a
// stack of its own, and a scheduler on one thread of the machine runs them in random order, each until it has to wait.
//
// What it shows: indexing and layouts, barriers that are missing or that not all threads reach, protocols between
// blocks that only work by luck (other seeds, other orders), reads of memory that nobody wrote (shared memory starts as
// NaN), writes past the end (a block's shared memory is an allocation of its own, so AddressSanitizer sees them), and
// waiting for ever (a watchdog counts turns without progress). What it does not show: the order in which another
// processor sees writes to memory, speed, registers, or what a driver does.

#include <stdint.h>

#include <functional>
#include <stdexcept>
#include <string>

namespace fastrnn {
namespace emulation {

struct LaunchShape {
  int blocks = 1, threads = 32;
  int shared_bytes = 0;
  int cluster = 1;           // blocks that see each other's shared memory; divides `blocks`
  bool cooperative = false;  // all blocks run at once; without it a block must not wait for another cluster's
};

/// The machine that is emulated, and the order of things.
struct Settings {
  uint64_t seed = 1;
  int resident_blocks = 1 << 20;     // a cooperative launch of more is refused, as by a driver
  int shared_per_block = 227 << 10;  // a launch that asks for more is refused
  int patience = 2000;               // turns for each waiting thread in which nothing happens, until it counts as stuck
  uint64_t turn_nanoseconds = 0;     // that a turn takes; time stands still: threads that are stuck are found here
};
Settings& settings();

/// Wrong use, a launch that is refused, or threads that wait for what never comes.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A launch that asks for more than the machine has. Nothing ran.
class Refused : public Error {
 public:
  using Error::Error;
};

/// Runs the body once for each thread. Throws Error; memory that stuck threads hold is then lost.
void launch(const LaunchShape& shape, const std::function<void()>& body);

// -- for the code of a thread
// ------------------------------------------------------------------------------------------

int thread_index();
int num_threads();
int block_index();
int num_blocks();
void* shared_memory();

/// Waits until all threads of the block, or of all blocks of the cluster, have come here.
void sync_block();
void sync_cluster();
/// As sync_block; whether all threads of the block say so.
bool sync_block_all(bool vote);
/// Until all 32 lanes of the warp have: each gives `in`, and gets every lane's in the order of lanes.
void exchange_warp(const void* in, int bytes, void* all);

int cluster_size();
int cluster_rank();
/// Where another block of the cluster keeps what lies at `own` here.
void* map_shared(void* own, int rank);

/// Since the launch, by settings().turn_nanoseconds.
uint64_t nanoseconds();

/// To be called in every turn of a loop that waits for another thread's write; others run meanwhile.
void wait_turn();
/// To be called by whatever such a loop may wait for: it counts as progress. Now and then others run first.
void wrote();

}  // namespace emulation
}  // namespace fastrnn
