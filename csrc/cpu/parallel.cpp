#include "cpu/parallel.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace fastrnn {
namespace {

// A waiting thread spins this often before it offers its core: about 20 us, longer than any step whose threads are
// all running, far shorter than a time slice that a preempted thread may wait for.
constexpr int kSpinsBeforeYield = 4000;

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

std::atomic<bool> in_forked_child{false};

struct ForkGuard {
  ForkGuard() noexcept {
    pthread_atfork(nullptr, nullptr, [] { in_forked_child = true; });
  }
} fork_guard;

}  // namespace

void wait_a_moment(int spins) {
  if (spins < kSpinsBeforeYield)
    pause();
  else
    sched_yield();
}

void Barrier::reset(int size) {
  size_ = size;
  arrived_ = 0;
  round_ = 0;
}

void Barrier::wait() {
  if (size_ == 1) return;
  const unsigned round = round_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.store(round + 1, std::memory_order_release);
    return;
  }
  wait_until([&] { return round_.load(std::memory_order_acquire) != round; });
}

#ifdef _OPENMP

bool has_openmp() { return true; }

int thread_limit() { return in_forked_child || omp_in_parallel() ? 1 : INT_MAX; }

int max_threads() { return std::min(thread_limit(), omp_get_max_threads()); }

bool run_parallel(int num_threads, void (*task)(void*, int), void* context) {
  if (num_threads == 1) {
    task(context, 0);
    return true;
  }
  bool complete = false;
#pragma omp parallel num_threads(num_threads)
  {
    if (omp_get_num_threads() == num_threads) {
      const int thread = omp_get_thread_num();
      if (thread == 0) complete = true;
      task(context, thread);
    }
  }
  return complete;
}

#else

bool has_openmp() { return false; }

int thread_limit() { return 1; }

int max_threads() { return 1; }

bool run_parallel(int num_threads, void (*task)(void*, int), void* context) {
  if (num_threads > 1) return false;
  task(context, 0);
  return true;
}

#endif

}  // namespace fastrnn
