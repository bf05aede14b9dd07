#pragma once
// Of cuda/ops.h, the side that runs on a CPU.

#include <string.h>

#include "cuda/engine.h"
#include "testing/cuda_emulation.h"
#include "testing/half_numbers.h"

#define FASTRNN_BACKEND cuda_emulated
#define FASTRNN_DEVICE inline
#define FASTRNN_KERNEL(threads) void

namespace fastrnn {
namespace cuda_emulated {

using cuda::Bfloat16;
using cuda::Float16;
using emulation::block_index;
using emulation::LaunchShape;
using emulation::num_blocks;
using emulation::num_threads;
using emulation::shared_memory;
using emulation::sync_block;
using emulation::sync_block_all;
using emulation::sync_cluster;
using emulation::thread_index;
using emulation::wait_turn;
using testing::narrow;
using testing::widen;

template <class T>
T* map_shared(T* own, int rank) {
  return static_cast<T*>(emulation::map_shared(own, rank));
}

template <class T>
void store_relaxed(T* p, T value) {
  *p = value;
  emulation::wrote();
}
struct LoadedWords {
  uint32_t w[4] = {};
};
template <class Word>
LoadedWords load_words(const Word* p) {
  if (reinterpret_cast<uintptr_t>(p) % 16) throw emulation::Error("misaligned address");
  LoadedWords words;
  memcpy(words.w, p, sizeof words.w);
  return words;
}
inline void add_release(uint32_t* p, uint32_t value) {
  *p += value;
  emulation::wrote();
}
inline uint32_t load_acquire(const uint32_t* p) { return *p; }
inline void raise_flag(uint32_t* p) { *p = 1; }
using emulation::nanoseconds;

inline void prefetch(const void*) {}

inline void dawdle() {}  // the order of threads is drawn anyway

inline void store_words(void* p, const LoadedWords& words) {
  if (reinterpret_cast<uintptr_t>(p) % 16) throw emulation::Error("misaligned address");
  memcpy(p, words.w, sizeof words.w);
}

inline void store_words(void* p, uint32_t first, uint32_t second) {
  if (reinterpret_cast<uintptr_t>(p) % 8) throw emulation::Error("misaligned address");
  const uint32_t both[] = {first, second};
  memcpy(p, both, sizeof both);
}

struct Vec4 {
  float v[4];
};
inline Vec4 load4(const float* p) {
  if (reinterpret_cast<uintptr_t>(p) % 16) throw emulation::Error("misaligned address");
  return {{p[0], p[1], p[2], p[3]}};
}
inline Vec4 load4_relaxed(const float* p) { return load4(p); }
template <class Half>
Vec4 load4(const Half* p) {
  if (reinterpret_cast<uintptr_t>(p) % 8) throw emulation::Error("misaligned address");
  return {{widen(p[0]), widen(p[1]), widen(p[2]), widen(p[3])}};
}

using Stream = void*;

inline void clear(void* data, int64_t bytes, Stream) { memset(data, 0, size_t(bytes)); }

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchShape& shape, Stream, const Arguments&... arguments) {
  try {
    emulation::launch(shape, [&] { kernel(arguments...); });
  } catch (const emulation::Refused& refused) {
    throw cuda::LaunchRefused(refused.what());
  }
}

}  // namespace cuda_emulated
}  // namespace fastrnn
