#pragma once
// Of cuda/ops.h, a third side: each block is a thread of the machine with one thread of its own, so that
// ThreadSanitizer can judge how blocks exchange. What the kernels write by relaxed stores is written plainly here: it
// must be ordered by the counters alone, and is a race where it is not.

#include <stdint.h>

#include <thread>

#include "testing/half_numbers.h"

#define FASTRNN_BACKEND cuda_threaded
#define FASTRNN_DEVICE inline
#define FASTRNN_KERNEL(threads) void

namespace fastrnn {
namespace cuda_threaded {

using testing::narrow;
using testing::widen;

inline int thread_index() { return 0; }
inline int num_threads() { return 1; }
inline void sync_block() {}
inline void sync_cluster() { __builtin_trap(); }  // grids only
template <class T>
T* map_shared(T* own, int) {
  return own;
}

template <class T>
void store_relaxed(T* p, T value) {
  *p = value;
}
inline uint32_t load_relaxed(const void* p) {
  uint32_t value;
  memcpy(&value, p, sizeof value);
  return value;
}
inline void store_word(void* p, uint32_t value) { memcpy(p, &value, sizeof value); }
inline void add_release(uint32_t* p, uint32_t value) { __atomic_fetch_add(p, value, __ATOMIC_RELEASE); }
inline uint32_t load_acquire(const uint32_t* p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
inline void raise_flag(uint32_t* p) { __atomic_store_n(p, 1, __ATOMIC_RELAXED); }
inline void wait_turn() { std::this_thread::yield(); }
uint64_t nanoseconds();

}  // namespace cuda_threaded
}  // namespace fastrnn
