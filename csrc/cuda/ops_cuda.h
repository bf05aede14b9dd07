#pragma once
// Of cuda/ops.h, the side that nvcc compiles.

#include <cuda_runtime.h>

#include "cuda/engine.h"
#include "cuda/errors.h"
#include "cuda/numbers.h"

#define FASTRNN_BACKEND cuda_kernels
#define FASTRNN_DEVICE __device__ __forceinline__
#define FASTRNN_KERNEL(threads) __global__ void __launch_bounds__(threads, 1)

namespace fastrnn {
namespace cuda_kernels {

FASTRNN_DEVICE int thread_index() { return int(threadIdx.x); }
FASTRNN_DEVICE int num_threads() { return int(blockDim.x); }
FASTRNN_DEVICE int block_index() { return int(blockIdx.x); }
FASTRNN_DEVICE int num_blocks() { return int(gridDim.x); }

/// All shared memory is asked for at launch.
FASTRNN_DEVICE void* shared_memory() {
  extern __shared__ __align__(16) unsigned char fastrnn_shared[];
  return fastrnn_shared;
}

FASTRNN_DEVICE void sync_block() { __syncthreads(); }
/// Likewise; whether all threads of the block say so.
FASTRNN_DEVICE bool sync_block_all(bool vote) { return __syncthreads_and(vote) != 0; }

// Clusters are there from compute capability 9.0 on; elsewhere no kernel is launched that gets here.
FASTRNN_DEVICE void sync_cluster() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  __cluster_barrier_arrive();  // releases, and
  __cluster_barrier_wait();    // acquires
#else
  __trap();
#endif
}
template <class T>
FASTRNN_DEVICE T* map_shared(T* own, int rank) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  return static_cast<T*>(__cluster_map_shared_rank(own, unsigned(rank)));
#else
  __trap();
  return own + rank;
#endif
}

using cuda::Bfloat16;
using cuda::Float16;

FASTRNN_DEVICE float widen(Bfloat16 half) { return __uint_as_float(uint32_t(half.bits) << 16); }
FASTRNN_DEVICE float widen(Float16 half) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half.bits));
  return value;
}
/// To the nearest, ties to even.
FASTRNN_DEVICE void narrow(float value, Bfloat16* half) {
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(half->bits) : "f"(value));
}
FASTRNN_DEVICE void narrow(float value, Float16* half) {
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half->bits) : "f"(value));
}

/// Brings a line of memory into the second-level cache; nothing waits for it.
FASTRNN_DEVICE void prefetch(const void* p) { asm volatile("prefetch.global.L2 [%0];" ::"l"(p)); }

/// Between blocks: memory that any thread may write and read at any time, at the second-level cache.
FASTRNN_DEVICE void store_relaxed(float* p, float value) {
  asm volatile("st.relaxed.gpu.global.f32 [%0], %1;" ::"l"(p), "f"(value) : "memory");
}
template <class Half>
FASTRNN_DEVICE void store_relaxed(Half* p, Half value) {
  asm volatile("st.relaxed.gpu.global.b16 [%0], %1;" ::"l"(p), "h"(value.bits) : "memory");
}
FASTRNN_DEVICE void store_relaxed(uint32_t* p, uint32_t value) {
  asm volatile("st.relaxed.gpu.global.b32 [%0], %1;" ::"l"(p), "r"(value) : "memory");
}
FASTRNN_DEVICE void store_relaxed(uint64_t* p, uint64_t value) {
  asm volatile("st.relaxed.gpu.global.b64 [%0], %1;" ::"l"(p), "l"(value) : "memory");
}
/// 16 bytes from an address that is a multiple of 16. Each word is read as a whole, and the words of a load in any
/// order: to PTX a vector is as many scalars.
struct LoadedWords {
  uint32_t w[4];
};
FASTRNN_DEVICE LoadedWords load_words(const uint32_t* p) {
  LoadedWords v;
  asm volatile("ld.relaxed.gpu.global.v4.b32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.w[0]), "=r"(v.w[1]), "=r"(v.w[2]), "=r"(v.w[3])
               : "l"(p)
               : "memory");
  return v;
}
FASTRNN_DEVICE LoadedWords load_words(const uint64_t* p) {
  uint64_t low, high;
  asm volatile("ld.relaxed.gpu.global.v2.b64 {%0,%1}, [%2];" : "=l"(low), "=l"(high) : "l"(p) : "memory");
  return {{uint32_t(low), uint32_t(low >> 32), uint32_t(high), uint32_t(high >> 32)}};
}
/// What the block wrote before a barrier is there for whoever reads the new count, and its block after a barrier.
FASTRNN_DEVICE void add_release(uint32_t* p, uint32_t value) {
  asm volatile("red.release.gpu.global.add.u32 [%0], %1;" ::"l"(p), "r"(value) : "memory");
}
FASTRNN_DEVICE uint32_t load_acquire(const uint32_t* p) {
  uint32_t value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(p) : "memory");
  return value;
}
/// For the host to see, in memory that it shares with the device.
FASTRNN_DEVICE void raise_flag(uint32_t* p) { asm volatile("st.relaxed.sys.global.u32 [%0], 1;" ::"l"(p) : "memory"); }
/// Before a block hands something over, and before it waits for others: in a build for tests (FASTRNN_CUDA_JITTER)
/// every eighth time for up to 4 microseconds, so that blocks overtake one another by as much as protocols let them.
FASTRNN_DEVICE void dawdle() {
#ifdef FASTRNN_CUDA_JITTER
  const unsigned seed = unsigned(clock64()) ^ (blockIdx.x * 40503u) ^ (threadIdx.x / 32 * 9973u);
  const unsigned drawn = seed * 2654435761u >> 20;
  if (drawn % 8 == 0) __nanosleep(drawn);
#endif
}
/// In every turn of a loop that waits.
FASTRNN_DEVICE void wait_turn() {}
FASTRNN_DEVICE uint64_t nanoseconds() {
  uint64_t value;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(value));
  return value;
}

/// To an address that is a multiple of their bytes.
FASTRNN_DEVICE void store_words(void* p, const LoadedWords& v) {
  *static_cast<uint4*>(p) = make_uint4(v.w[0], v.w[1], v.w[2], v.w[3]);
}
FASTRNN_DEVICE void store_words(void* p, uint32_t first, uint32_t second) {
  *static_cast<uint2*>(p) = make_uint2(first, second);
}

struct Vec4 {
  float v[4];
};
/// Four floats from an address that is a multiple of 16 bytes.
FASTRNN_DEVICE Vec4 load4(const float* p) {
  const float4 value = *reinterpret_cast<const float4*>(p);
  return {{value.x, value.y, value.z, value.w}};
}
/// As these, and as load_relaxed for each.
FASTRNN_DEVICE Vec4 load4_relaxed(const float* p) {
  Vec4 value;
  asm volatile("ld.relaxed.gpu.global.v4.f32 {%0,%1,%2,%3}, [%4];"
               : "=f"(value.v[0]), "=f"(value.v[1]), "=f"(value.v[2]), "=f"(value.v[3])
               : "l"(p)
               : "memory");
  return value;
}
/// Four halves from one that is a multiple of 8 bytes.
template <class Half>
FASTRNN_DEVICE Vec4 load4(const Half* p) {
  const uint2 value = *reinterpret_cast<const uint2*>(p);
  return {{widen(Half{uint16_t(value.x)}), widen(Half{uint16_t(value.x >> 16)}), widen(Half{uint16_t(value.y)}),
           widen(Half{uint16_t(value.y >> 16)})}};
}

using cuda::need_success;
using Stream = cudaStream_t;

/// How a kernel is launched, as in the emulation.
struct LaunchShape {
  int blocks = 1, threads = 32, shared_bytes = 0, cluster = 1;
  bool cooperative = false;
};

inline void clear(void* data, int64_t bytes, Stream stream) {
  need_success(cudaMemsetAsync(data, 0, size_t(bytes), stream));
}

/// As need_success, for what comes before or with a launch.
inline void need_launch(cudaError_t error) {
  switch (error) {
    case cudaErrorCooperativeLaunchTooLarge:
    case cudaErrorInvalidClusterSize:
    case cudaErrorInvalidConfiguration:
    case cudaErrorInvalidValue:
    case cudaErrorLaunchOutOfResources:
    case cudaErrorNotSupported:
      cudaGetLastError();  // it would stay for the next call
      throw cuda::LaunchRefused(std::string("CUDA error: ") + cudaGetErrorString(error));
    default:
      need_success(error);
  }
}

/// Throws where the launch is refused; what happens later shows in later calls of CUDA, as everywhere.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchShape& shape, Stream stream, const Arguments&... arguments) {
  constexpr int kWithoutAsking = 48 << 10;
  const void* const address = reinterpret_cast<const void*>(kernel);
  if (shape.shared_bytes > kWithoutAsking)
    need_launch(cudaFuncSetAttribute(address, cudaFuncAttributeMaxDynamicSharedMemorySize, shape.shared_bytes));
  if (shape.cluster > 8) need_launch(cudaFuncSetAttribute(address, cudaFuncAttributeNonPortableClusterSizeAllowed, 1));
  cudaLaunchAttribute attributes[2];
  unsigned count = 0;
  if (shape.cluster > 1) {
    attributes[count].id = cudaLaunchAttributeClusterDimension;
    attributes[count].val.clusterDim.x = unsigned(shape.cluster);
    attributes[count].val.clusterDim.y = attributes[count].val.clusterDim.z = 1;
    ++count;
  }
  if (shape.cooperative) {
    attributes[count].id = cudaLaunchAttributeCooperative;
    attributes[count].val.cooperative = 1;
    ++count;
  }
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(unsigned(shape.blocks));
  config.blockDim = dim3(unsigned(shape.threads));
  config.dynamicSmemBytes = size_t(shape.shared_bytes);
  config.stream = stream;
  config.attrs = attributes;
  config.numAttrs = count;
  need_launch(cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...));
}

}  // namespace cuda_kernels
}  // namespace fastrnn
