#pragma once
// Threads: one OpenMP region a call, and a spin barrier inside it (85 ns for two cores, against 307 ns for OpenMP's
// own). OpenMP appears in parallel.cpp only, through the few calls that torch's older libgomp also has.

#include <atomic>

namespace fastrnn {

/// Offers the core to others after the first 20 us or so of a wait; `spins` counts from 0.
void wait_a_moment(int spins);

template <class Condition>
void wait_until(const Condition& holds) {
  for (int spins = 0; !holds(); ++spins) wait_a_moment(spins);
}

/// Lets `size` threads wait for one another, any number of times.
class Barrier {
 public:
  void reset(int size);
  void wait();

 private:
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<unsigned> round_{0};
  int size_ = 1;
};

/// How many threads a call may ask for from here: 1 inside another parallel region, and in a forked child, where
/// libgomp's threads no longer exist and starting a region would hang; no limit elsewhere.
int thread_limit();

/// Threads of a call that asks for no number: OpenMP's maximum, within the limit.
int max_threads();

bool has_openmp();

/// Runs task(context, thread) on threads 0..num_threads-1 at once. Returns false, with nothing run, where the
/// runtime grants fewer threads.
bool run_parallel(int num_threads, void (*task)(void* context, int thread), void* context);

}  // namespace fastrnn
