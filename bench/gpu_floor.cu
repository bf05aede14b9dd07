// What exchanges between blocks, launches and tensor cores cost on the GPU at hand: the constants that the CUDA
// engine's planner reckons with. Prints JSON, times in nanoseconds; at the end, under "costs", the members of Costs in
// csrc/cuda/plan_costs.cpp that follow from them, by name and in its units: cycles, and bytes a cycle.
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

/// Every block publishes `words`, and reads those of all: data, then a counter that says that they are there. Read as
/// csrc/cuda/exchange.h does, two loads of four words each at once.
__global__ void gather_by_counter(uint32_t* ring, uint32_t* counter, uint32_t* sink, int words, int steps) {
  extern __shared__ __align__(16) uint32_t staged[];
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
    for (int first = int(threadIdx.x); first < all / 4; first += 2 * kThreads) {
      uint4 values[2];
#pragma unroll
      for (int j = 0; j < 2; ++j)
        if (first + j * kThreads < all / 4)
          asm volatile("ld.relaxed.gpu.global.v4.b32 {%0,%1,%2,%3}, [%4];"
                       : "=r"(values[j].x), "=r"(values[j].y), "=r"(values[j].z), "=r"(values[j].w)
                       : "l"(slot + 4 * (first + j * kThreads))
                       : "memory");
#pragma unroll
      for (int j = 0; j < 2; ++j)
        if (first + j * kThreads < all / 4)
          *reinterpret_cast<uint4*>(staged + 4 * (first + j * kThreads) % 4096) = values[j];
    }
    __syncthreads();
    sum += staged[threadIdx.x];
  }
  if (sum == 1) *sink = sum;
}

/// The same with words that carry the step: no counter, twice the bytes. Read as csrc/cuda/exchange_tagged.h does: two
/// loads of two words each at once, of which those that find a stale word are repeated.
__global__ void gather_by_tags(uint64_t* ring, uint32_t* sink, int words, int steps) {
  extern __shared__ __align__(16) uint32_t staged[];
  const int all = int(gridDim.x) * words;
  uint32_t sum = 0;
  for (int t = 0; t < steps; ++t) {
    uint64_t* const slot = ring + (t & 1) * all;
    for (int i = int(threadIdx.x); i < words; i += kThreads) {
      const uint64_t word = uint64_t(uint32_t(t + i)) | uint64_t(t + 1) << 32;
      asm volatile("st.relaxed.gpu.global.b64 [%0], %1;" ::"l"(slot + int(blockIdx.x) * words + i), "l"(word)
                   : "memory");
    }
    for (int first = int(threadIdx.x); first < all / 2; first += 2 * kThreads) {
      uint32_t missing = first + kThreads < all / 2 ? 3 : 1;
      while (missing) {
        uint64_t low[2], high[2];
#pragma unroll
        for (int j = 0; j < 2; ++j)
          if (missing >> j & 1)
            asm volatile("ld.relaxed.gpu.global.v2.b64 {%0,%1}, [%2];"
                         : "=l"(low[j]), "=l"(high[j])
                         : "l"(slot + 2 * (first + j * kThreads))
                         : "memory");
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          if (!(missing >> j & 1) || uint32_t(low[j] >> 32) != uint32_t(t + 1) ||
              uint32_t(high[j] >> 32) != uint32_t(t + 1))
            continue;
          const int at = 2 * (first + j * kThreads) % 4096;
          staged[at] = uint32_t(low[j]);
          staged[at + 1] = uint32_t(high[j]);
          missing &= ~(1u << j);
        }
      }
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

/// Time over bytes, through a small size and a large one.
struct Line {
  double start = 0, each = 0;  // nanoseconds, and of a byte
  Line() = default;
  Line(double small_bytes, double small_time, double large_bytes, double large_time)
      : start(small_time - small_bytes * (large_time - small_time) / (large_bytes - small_bytes)),
        each((large_time - small_time) / (large_bytes - small_bytes)) {}
};

/// What the planner's constants are made of; zero where it was not measured.
struct Found {
  Line counter_few, counter_all, tagged_all;  // between few blocks, and one on each multiprocessor
  Line cluster;                               // of 8
  double launch = 0, tensor = 0;
};

/// By the names of the members of Costs, in its units.
void print_costs(const Found& found, double gigahertz, int multiprocessors, int l2_bytes) {
  const auto cycles = [&](const char* name, double nanoseconds) {
    if (nanoseconds > 0) printf(", \"%s\": %.1f", name, nanoseconds * gigahertz);
  };
  const auto rate = [&](const char* name, const Line& line, int blocks) {
    if (line.each > 0) printf(", \"%s\": %.1f", name, blocks / (line.each * gigahertz));
  };
  printf("  \"costs\": {\"gigahertz\": %.3f, \"l2_size\": %d", gigahertz, l2_bytes);
  cycles("launch", found.launch);
  cycles("counter_exchange", found.counter_all.start);
  cycles("tagged_exchange", found.tagged_all.start);
  rate("l2_bytes", found.counter_few, 1);  // each block reads all
  rate("l2_total", found.counter_all, multiprocessors);
  cycles("cluster_exchange", found.cluster.start);
  rate("cluster_bytes", found.cluster, 1);
  cycles("tensor", found.tensor);
  printf("}\n");
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

void measure_grids(const Memory& memory, int multiprocessors, Found* found) {
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
    double small_bytes = 0, small_counted = 0, small_tagged = 0;
    for (const int kilobytes : {4, 16, 64}) {
      int words = std::max(4, kilobytes * 256 / blocks / 4 * 4);  // as many as a load has
      const double bytes = 4.0 * words * blocks;
      const double counted = nanoseconds(steps, [&] {
        clear_counter();
        cooperative(gather_by_counter, blocks, 16384, {&ring, &counter, &sink, &words, &steps});
      });
      const double tagged = nanoseconds(steps, [&] {
        check(cudaMemsetAsync(ring, 0, size_t(blocks) * size_t(words) * 16), "memset");
        cooperative(gather_by_tags, blocks, 16384, {&ring, &sink, &words, &steps});
      });
      printf(", \"gather_%dk_counter\": %.1f, \"gather_%dk_tags\": %.1f", kilobytes, counted, kilobytes, tagged);
      if (kilobytes == 4) small_bytes = bytes, small_counted = counted, small_tagged = tagged;
      if (kilobytes == 64) {
        const Line line(small_bytes, small_counted, bytes, counted);
        if (blocks == 16) found->counter_few = line;
        if (blocks == multiprocessors) {
          found->counter_all = line;
          found->tagged_all = Line(small_bytes, small_tagged, bytes, tagged);
        }
      }
    }
    printf("}");
  }
  printf("\n  ],\n");
}

void measure_clusters(const Memory& memory, Found* found) {
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
    double small = 0;
    for (const int kilobytes : {0, 4, 16, 32}) {
      for (const int clusters : {1, std::max(1, together)}) {
        const int words = kilobytes * 256 / size;
        config.gridDim = dim3(unsigned(size * clusters));
        config.dynamicSmemBytes = size_t(kilobytes) << 11;
        const double time = nanoseconds(kSteps, [&] {
          check(cudaLaunchKernelEx(&config, gather_in_cluster, memory.sink, words, kSteps), "cluster launch");
        });
        printf(", \"%s_%dk\": %.1f", clusters == 1 ? "alone" : "all", kilobytes, time);
        if (size != 8 || clusters == 1) continue;
        if (kilobytes == 4) small = time;
        if (kilobytes == 32) found->cluster = Line(4 << 10, small, 32 << 10, time);
      }
    }
    printf("}");
  }
  printf("\n  ],\n");
}

/// Nanoseconds from kernel to kernel in a graph, and whether a stream takes a cooperative launch while captured.
void measure_graphs(Found* found) {
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t ready;
  check(cudaStreamCreate(&stream), "stream");
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "capture");
  for (int i = 0; i < 1000; ++i) nothing<<<1, kThreads, 0, stream>>>();
  check(cudaStreamEndCapture(stream, &graph), "capture");
  check(cudaGraphInstantiate(&ready, graph, 0), "graph");
  printf("  \"kernel_in_graph\": %.1f,\n", nanoseconds(1000, [&] { check(cudaGraphLaunch(ready, nullptr), "graph"); }));
  found->launch = nanoseconds(1000, [] {
    for (int i = 0; i < 1000; ++i) nothing<<<1, kThreads>>>();
  });
  printf("  \"kernel_in_stream\": %.1f,\n", found->launch);
  int steps = 1;
  void* arguments[] = {&steps};
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "capture");
  const cudaError_t launched =
      cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(grid_sync), 16, kThreads, arguments, 0, stream);
  const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
  cudaGetLastError();
  printf("  \"cooperative_in_capture\": \"%s\",\n", cudaGetErrorString(launched ? launched : ended));
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
  Found found;
  measure_grids(memory, device.multiProcessorCount, &found);
  if (device.major >= 9) measure_clusters(memory, &found);
  const int blocks = device.multiProcessorCount;
  const auto* const weights = reinterpret_cast<const uint4*>(memory.ring);
  float* const out = reinterpret_cast<float*>(memory.ring) + (1 << 22);
  printf("  \"mma_m16n8k16\": %.2f,\n",
         nanoseconds(kSteps * 32, [&] { multiply_resident<1><<<blocks, kThreads>>>(weights, out, kSteps); }));
  const double four =
      nanoseconds(kSteps * 32 * 4, [&] { multiply_resident<4><<<blocks, kThreads>>>(weights, out, kSteps); });
  printf("  \"mma_m16n8k16_4_tiles\": %.2f,\n", four);
  found.tensor = four / (kThreads / 32 / 4);  // so many warps share a quarter of a multiprocessor
  measure_graphs(&found);
  print_costs(found, kilohertz / 1e6, device.multiProcessorCount, device.l2CacheSize);
  printf("}\n");
}
