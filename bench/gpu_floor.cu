// What exchanges between blocks, launches and tensor cores cost on the GPU at hand: the constants that the CUDA
// engine's planner reckons with (Costs in csrc/cuda/plan_costs.cpp). Prints JSON, times in nanoseconds.
//   nvcc -std=c++17 -O3 -gencode arch=compute_90,code=sm_90 -o gpu_floor bench/gpu_floor.cu && ./gpu_floor

#include <cooperative_groups.h>
#include <cuda_runtime.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <functional>
#include <vector>

namespace {

constexpr int kSteps = 2000, kThreads = 256;

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  exit(1);
}

__device__ uint32_t load_acquire(const uint32_t* p) {
  uint32_t value;
  asm volatile("ld.acquire.gpu.u32 %0, [%1];" : "=r"(value) : "l"(p) : "memory");
  return value;
}
__device__ void add_release(uint32_t* p) {
  asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(p) : "memory");
}

// -- between blocks anywhere ----------------------------------------------------------------------------------------

__global__ void grid_sync(int steps) {
  for (int t = 0; t < steps; ++t) cooperative_groups::this_grid().sync();
}

/// All blocks wait until all have counted up.
__global__ void counter_barrier(uint32_t* counter, int steps) {
  for (int t = 0; t < steps; ++t) {
    __syncthreads();
    if (threadIdx.x == 0) {
      add_release(counter);
      while (load_acquire(counter) < gridDim.x * uint32_t(t + 1)) {
      }
    }
    __syncthreads();
  }
}

/// Every block publishes `words`, and reads those of all: data, then a counter that says that they are there.
__global__ void gather_by_counter(uint32_t* ring, uint32_t* counter, uint32_t* sink, int words, int steps) {
  extern __shared__ uint32_t staged[];
  const int all = int(gridDim.x) * words;
  uint32_t sum = 0;
  for (int t = 0; t < steps; ++t) {
    uint32_t* const slot = ring + (t & 1) * all;
    for (int i = int(threadIdx.x); i < words; i += kThreads) slot[int(blockIdx.x) * words + i] = uint32_t(t + i);
    __syncthreads();
    if (threadIdx.x == 0) {
      add_release(counter);
      while (load_acquire(counter) < gridDim.x * uint32_t(t + 1)) {
      }
    }
    __syncthreads();
    for (int i = int(threadIdx.x); i < all; i += kThreads) {
      uint32_t value;
      asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(slot + i) : "memory");
      staged[i % 4096] = value;
    }
    __syncthreads();
    sum += staged[threadIdx.x];
  }
  if (sum == 1) *sink = sum;
}

/// The same with words that carry the step: no counter, twice the bytes.
__global__ void gather_by_tags(uint64_t* ring, uint32_t* sink, int words, int steps) {
  extern __shared__ uint32_t staged[];
  const int all = int(gridDim.x) * words;
  uint32_t sum = 0;
  for (int t = 0; t < steps; ++t) {
    uint64_t* const slot = ring + (t & 1) * all;
    for (int i = int(threadIdx.x); i < words; i += kThreads) {
      const uint64_t word = uint64_t(uint32_t(t + i)) | uint64_t(t + 1) << 32;
      asm volatile("st.relaxed.gpu.global.b64 [%0], %1;" ::"l"(slot + int(blockIdx.x) * words + i), "l"(word)
                   : "memory");
    }
    for (int i = int(threadIdx.x); i < all; i += kThreads) {
      uint64_t word;
      do {
        asm volatile("ld.relaxed.gpu.global.b64 %0, [%1];" : "=l"(word) : "l"(slot + i) : "memory");
      } while (uint32_t(word >> 32) != uint32_t(t + 1));
      staged[i % 4096] = uint32_t(word);
    }
    __syncthreads();
    sum += staged[threadIdx.x];
    __syncthreads();
  }
  if (sum == 1) *sink = sum;
}

// -- in a cluster -----------------------------------------------------------------------------------------------------

/// Every block writes `words` to each of the cluster's, then all meet at a barrier.
__global__ void gather_in_cluster(uint32_t* sink, int words, int steps) {
#if __CUDA_ARCH__ >= 900
  extern __shared__ uint32_t received[];
  const auto cluster = cooperative_groups::this_cluster();
  const int size = int(cluster.num_blocks()), rank = int(cluster.block_rank());
  uint32_t sum = 0;
  cluster.sync();
  for (int t = 0; t < steps; ++t) {
    uint32_t* const slot = received + (t & 1) * size * words;
    for (int i = int(threadIdx.x); i < words * size; i += kThreads)
      cluster.map_shared_rank(slot, unsigned(i / words))[rank * words + i % words] = uint32_t(t + i);
    cluster.sync();
    if (words > 0) sum += slot[threadIdx.x % unsigned(size * words)];
  }
  if (sum == 1) *sink = sum;
#endif
}

// -- tensor cores -----------------------------------------------------------------------------------------------------

/// 32 fragments of weights stay in registers; every step multiplies them all with one fragment after another.
template <int kTiles>
__global__ void __launch_bounds__(kThreads, 1) multiply_resident(const uint4* weights, float* out, int steps) {
  uint32_t a[32][4];
#pragma unroll
  for (int i = 0; i < 32; ++i) {
    const uint4 value = weights[i * kThreads + int(threadIdx.x)];
    a[i][0] = value.x, a[i][1] = value.y, a[i][2] = value.z, a[i][3] = value.w;
  }
  float d[2][kTiles][4] = {};
  uint32_t b = threadIdx.x;
  for (int t = 0; t < steps; ++t) {
#pragma unroll
    for (int i = 0; i < 32; ++i)
#pragma unroll
      for (int n = 0; n < kTiles; ++n)
        asm volatile(
            "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%8},{%0,%1,%2,%3};"
            : "+f"(d[i & 1][n][0]), "+f"(d[i & 1][n][1]), "+f"(d[i & 1][n][2]), "+f"(d[i & 1][n][3])
            : "r"(a[i][0]), "r"(a[i][1]), "r"(a[i][2]), "r"(a[i][3]), "r"(b));
    b += uint32_t(t);
  }
  float sum = 0;
  for (int i = 0; i < 2; ++i)
    for (int n = 0; n < kTiles; ++n)
      for (int k = 0; k < 4; ++k) sum += d[i][n][k];
  out[int(blockIdx.x) * kThreads + int(threadIdx.x)] = sum;
}

__global__ void nothing() {}

// -- measuring --------------------------------------------------------------------------------------------------------

/// Nanoseconds of `count` steps' one, the median of 7 runs after one to warm up.
double nanoseconds(int count, const std::function<void()>& work) {
  cudaEvent_t start, stop;
  check(cudaEventCreate(&start), "event");
  check(cudaEventCreate(&stop), "event");
  work();
  check(cudaDeviceSynchronize(), "warm-up");
  std::vector<float> times;
  for (int i = 0; i < 7; ++i) {
    check(cudaEventRecord(start), "record");
    work();
    check(cudaEventRecord(stop), "record");
    check(cudaEventSynchronize(stop), "kernel");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start, stop), "time");
    times.push_back(milliseconds);
  }
  std::sort(times.begin(), times.end());
  return double(times[3]) * 1e6 / count;
}

template <class Kernel>
void cooperative(Kernel kernel, int blocks, int shared_bytes, std::vector<void*> arguments) {
  check(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(kernel), blocks, kThreads, arguments.data(),
                                    size_t(shared_bytes), nullptr),
        "cooperative launch");
}

struct Memory {
  uint32_t *ring = nullptr, *counter = nullptr, *sink = nullptr;
  Memory() {
    check(cudaMalloc(&ring, 64 << 20), "memory");
    check(cudaMalloc(&counter, 256), "memory");
    check(cudaMalloc(&sink, 256), "memory");
    check(cudaMemset(ring, 0, 64 << 20), "memory");
  }
};

void measure_grids(const Memory& memory, int multiprocessors) {
  int steps = kSteps;
  uint32_t *ring = memory.ring, *counter = memory.counter, *sink = memory.sink;
  const auto clear_counter = [&] { check(cudaMemsetAsync(counter, 0, 256), "memset"); };
  printf("  \"grid\": [");
  const char* comma = "";
  for (const int blocks : {16, 32, 64, 96, multiprocessors}) {
    const double sync = nanoseconds(steps, [&] { cooperative(grid_sync, blocks, 0, {&steps}); });
    const double barrier = nanoseconds(steps, [&] {
      clear_counter();
      cooperative(counter_barrier, blocks, 0, {&counter, &steps});
    });
    printf("%s\n    {\"blocks\": %d, \"grid_sync\": %.1f, \"counter_barrier\": %.1f", comma, blocks, sync, barrier);
    comma = ",";
    for (const int kilobytes : {4, 16, 64}) {
      int words = kilobytes * 256 / blocks;
      const double counted = nanoseconds(steps, [&] {
        clear_counter();
        cooperative(gather_by_counter, blocks, 16384, {&ring, &counter, &sink, &words, &steps});
      });
      const double tagged = nanoseconds(steps, [&] {
        check(cudaMemsetAsync(ring, 0, size_t(blocks) * size_t(words) * 16), "memset");
        cooperative(gather_by_tags, blocks, 16384, {&ring, &sink, &words, &steps});
      });
      printf(", \"gather_%dk_counter\": %.1f, \"gather_%dk_tags\": %.1f", kilobytes, counted, kilobytes, tagged);
    }
    printf("}");
  }
  printf("\n  ],\n");
}

void measure_clusters(const Memory& memory) {
  check(cudaFuncSetAttribute(gather_in_cluster, cudaFuncAttributeNonPortableClusterSizeAllowed, 1), "cluster size");
  check(cudaFuncSetAttribute(gather_in_cluster, cudaFuncAttributeMaxDynamicSharedMemorySize, 200 << 10), "shared");
  printf("  \"cluster\": [");
  const char* comma = "";
  for (const int size : {2, 4, 8, 16}) {
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = unsigned(size);
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    cudaLaunchConfig_t config = {};
    config.blockDim = dim3(kThreads);
    config.attrs = &attribute;
    config.numAttrs = 1;
    config.gridDim = dim3(unsigned(size * 64));
    config.dynamicSmemBytes = 200 << 10;
    int together = 0;
    check(cudaOccupancyMaxActiveClusters(&together, gather_in_cluster, &config), "occupancy");
    printf("%s\n    {\"size\": %d, \"co_resident\": %d", comma, size, together);
    comma = ",";
    for (const int kilobytes : {0, 4, 16, 32}) {
      for (const int clusters : {1, std::max(1, together)}) {
        const int words = kilobytes * 256 / size;
        config.gridDim = dim3(unsigned(size * clusters));
        config.dynamicSmemBytes = size_t(kilobytes) << 11;
        const double time = nanoseconds(kSteps, [&] {
          check(cudaLaunchKernelEx(&config, gather_in_cluster, memory.sink, words, kSteps), "cluster launch");
        });
        printf(", \"%s_%dk\": %.1f", clusters == 1 ? "alone" : "all", kilobytes, time);
      }
    }
    printf("}");
  }
  printf("\n  ],\n");
}

/// Nanoseconds from kernel to kernel in a graph, and whether a stream takes a cooperative launch while captured.
void measure_graphs() {
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t ready;
  check(cudaStreamCreate(&stream), "stream");
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "capture");
  for (int i = 0; i < 1000; ++i) nothing<<<1, kThreads, 0, stream>>>();
  check(cudaStreamEndCapture(stream, &graph), "capture");
  check(cudaGraphInstantiate(&ready, graph, 0), "graph");
  printf("  \"kernel_in_graph\": %.1f,\n", nanoseconds(1000, [&] { check(cudaGraphLaunch(ready, nullptr), "graph"); }));
  printf("  \"kernel_in_stream\": %.1f,\n", nanoseconds(1000, [] {
           for (int i = 0; i < 1000; ++i) nothing<<<1, kThreads>>>();
         }));
  int steps = 1;
  void* arguments[] = {&steps};
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "capture");
  const cudaError_t launched =
      cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(grid_sync), 16, kThreads, arguments, 0, stream);
  const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
  cudaGetLastError();
  printf("  \"cooperative_in_capture\": \"%s\"\n", cudaGetErrorString(launched ? launched : ended));
}

}  // namespace

int main() {
  cudaDeviceProp device;
  check(cudaGetDeviceProperties(&device, 0), "device");
  int kilohertz = 0;
  check(cudaDeviceGetAttribute(&kilohertz, cudaDevAttrClockRate, 0), "clock");
  const Memory memory;
  printf(
      "{\n  \"gpu\": \"%s\", \"multiprocessors\": %d, \"shared_per_block\": %zu, \"l2_bytes\": %d, \"kilohertz\": "
      "%d,\n",
      device.name, device.multiProcessorCount, device.sharedMemPerBlockOptin, device.l2CacheSize, kilohertz);
  measure_grids(memory, device.multiProcessorCount);
  if (device.major >= 9) measure_clusters(memory);
  const int blocks = device.multiProcessorCount;
  const auto* const weights = reinterpret_cast<const uint4*>(memory.ring);
  float* const out = reinterpret_cast<float*>(memory.ring) + (1 << 22);
  printf("  \"mma_m16n8k16\": %.2f,\n",
         nanoseconds(kSteps * 32, [&] { multiply_resident<1><<<blocks, kThreads>>>(weights, out, kSteps); }));
  printf("  \"mma_m16n8k16_4_tiles\": %.2f,\n",
         nanoseconds(kSteps * 32 * 4, [&] { multiply_resident<4><<<blocks, kThreads>>>(weights, out, kSteps); }));
  measure_graphs();
  printf("}\n");
}
