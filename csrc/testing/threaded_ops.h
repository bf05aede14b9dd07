#pragma once
// Of cuda/ops.h, a third side: each block is a thread of the machine with one thread of its own, so that
// ThreadSanitizer can judge how blocks exchange. What the kernels write by relaxed stores is written plainly here: it
// must be ordered by the counters alone, and is a race where it is not.

#include <stdint.h>

#include <thread>

#define FASTRNN_BACKEND cuda_threaded
#define FASTRNN_DEVICE inline
#define FASTRNN_KERNEL(threads) void

namespace fastrnn {
namespace cuda_threaded {

inline int thread_index() { return 0; }
inline int num_threads() { return 1; }
inline void sync_block() {}
inline void sync_cluster() { __builtin_trap(); }  // grids only
inline float* map_shared(float* own, int) { return own; }

inline void store_relaxed(float* p, float value) { *p = value; }
inline float load_relaxed(const float* p) { return *p; }
inline void add_release(uint32_t* p, uint32_t value) { __atomic_fetch_add(p, value, __ATOMIC_RELEASE); }
inline uint32_t load_acquire(const uint32_t* p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
inline void raise_flag(uint32_t* p) { __atomic_store_n(p, 1, __ATOMIC_RELAXED); }
inline void wait_turn() { std::this_thread::yield(); }
uint64_t nanoseconds();

}  // namespace cuda_threaded
}  // namespace fastrnn
