#pragma once
// Of cuda/ops.h, a third side: each block is a thread of the machine with one thread of its own, so that
// ThreadSanitizer can judge how blocks exchange. What the kernels write by relaxed stores is written plainly here: it
// must be ordered by the counters alone, and is a race where it is not; but for words that carry their round, which are
// atomic and ordered by nothing.

#include <stdint.h>

#include <thread>

#include "testing/half_numbers.h"

#define FASTRNN_BACKEND cuda_threaded
#define FASTRNN_DEVICE inline
#define FASTRNN_KERNEL(threads) void

namespace fastrnn {
namespace cuda_threaded {

using testing::bits_of;
using testing::narrow;
using testing::widen;

inline int thread_index() { return 0; }
inline int num_threads() { return 1; }
inline void sync_block() {}
inline void pin(uint32_t&) {}
inline bool sync_block_all(bool vote) { return vote; }
inline void sync_cluster() { __builtin_trap(); }  // grids only
template <class T>
T* map_shared(T* own, int) {
  return own;
}

template <class T>
void store_relaxed(T* p, T value) {
  *p = value;
}
inline void store_relaxed(uint32_t* p, uint32_t value) { __atomic_store_n(p, value, __ATOMIC_RELAXED); }
inline void store_relaxed(uint64_t* p, uint64_t value) { __atomic_store_n(p, value, __ATOMIC_RELAXED); }
struct LoadedWords {
  uint32_t w[4] = {};
};
inline LoadedWords load_words(const uint32_t* p) {
  LoadedWords words;
  for (int i = 0; i < 4; ++i) words.w[i] = __atomic_load_n(p + i, __ATOMIC_RELAXED);
  return words;
}
inline LoadedWords load_words(const uint64_t* p) {
  LoadedWords words;
  for (int i = 0; i < 2; ++i) {
    const uint64_t word = __atomic_load_n(p + i, __ATOMIC_RELAXED);
    memcpy(words.w + 2 * i, &word, sizeof word);
  }
  return words;
}
inline void store_words(void* p, const LoadedWords& words) { memcpy(p, words.w, sizeof words.w); }
inline void store_words(void* p, uint32_t first, uint32_t second) {
  const uint32_t both[] = {first, second};
  memcpy(p, both, sizeof both);
}
struct Vec4 {
  float v[4];
};
inline Vec4 load4(const float* p) { return {{p[0], p[1], p[2], p[3]}}; }
template <class Half>
Vec4 load4(const Half* p) {
  return {{widen(p[0]), widen(p[1]), widen(p[2]), widen(p[3])}};
}
inline Vec4 load4_relaxed(const float* p) { return load4(p); }
inline void add_release(uint32_t* p, uint32_t value) { __atomic_fetch_add(p, value, __ATOMIC_RELEASE); }
inline uint32_t load_acquire(const uint32_t* p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
inline void raise_flag(uint32_t* p) { __atomic_store_n(p, 1, __ATOMIC_RELAXED); }
inline void dawdle() {}  // the test itself does
inline void wait_turn() { std::this_thread::yield(); }
uint64_t nanoseconds();

}  // namespace cuda_threaded
}  // namespace fastrnn
