#include "word2vec/columns.h"

#include <limits.h>
#include <sched.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <thread>

#include "word2vec/random.h"

namespace fastrnn {
namespace word2vec {
namespace {

constexpr int kLine = 16;  // floats
// Of a block, which is to stay in the second-level cache with the rows it touches.
constexpr int kMaxSteps = 256, kUsualProducts = 1 << 13;

/// A power of two, so that the groups of every number of threads are added up in the same order; of no fewer than six
/// lines as a rule, because what is to be done for each step and group takes as long as two lines do.
int count_groups(int lines) { return lines < 2 ? 1 : lines < 12 ? 2 : lines < 24 ? 4 : kMaxGroups; }

/// The greatest power of two up to all bounds.
int count_threads(int asked, int groups) {
  const int cores = std::max(1, int(std::thread::hardware_concurrency()));
  int threads = 1;
  while (2 * threads <= std::min({asked, groups, cores})) threads *= 2;
  return threads;
}

// A thread whose fellow has lost its core sleeps, rather than yield again and again: so it has a claim to a core when
// the other one comes back, and both run at once. Elsewhere than on Linux it yields.
#ifdef __linux__
void sleep_while(const uint32_t* word, uint32_t value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
void wake_sleepers(const uint32_t* word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0); }
#else
void sleep_while(const uint32_t*, uint32_t) { sched_yield(); }
void wake_sleepers(const uint32_t*) {}
#endif

struct Line {
  float values[kLine];
};

constexpr int64_t kBufferLines = 1 << 13;

/// From rows that each are a left and a right part, to all left parts before all right ones, in place. The buffer holds
/// kBufferLines.
void part(Line* lines, int64_t rows, int64_t left, int64_t right, Line* buffer) {
  const int64_t whole = left + right;
  if (rows * right <= kBufferLines || rows == 1) {
    if (rows == 1) return;
    for (int64_t r = 0; r < rows; ++r) {
      std::copy_n(lines + r * whole + left, right, buffer + r * right);
      std::copy_n(lines + r * whole, left, lines + r * left);
    }
    std::copy_n(buffer, rows * right, lines + rows * left);
    return;
  }
  const int64_t half = rows / 2;
  part(lines, half, left, right, buffer);
  part(lines + half * whole, rows - half, left, right, buffer);
  std::rotate(lines + half * left, lines + half * whole, lines + half * whole + (rows - half) * left);
}

/// And back.
void join(Line* lines, int64_t rows, int64_t left, int64_t right, Line* buffer) {
  const int64_t whole = left + right;
  if (rows * right <= kBufferLines || rows == 1) {
    if (rows == 1) return;
    std::copy_n(lines + rows * left, rows * right, buffer);
    for (int64_t r = rows - 1; r >= 0; --r) {
      std::copy_backward(lines + r * left, lines + (r + 1) * left, lines + r * whole + left);
      std::copy_n(buffer + r * right, right, lines + r * whole + left);
    }
    return;
  }
  const int64_t half = rows / 2;
  std::rotate(lines + half * left, lines + half * left + (rows - half) * left,
              lines + half * whole + (rows - half) * left);
  join(lines, half, left, right, buffer);
  join(lines + half * whole, rows - half, left, right, buffer);
}

}  // namespace

void publish(ColumnWorker& worker) {
  Exchange& mine = worker.exchanges[worker.thread];
  __atomic_store_n(&mine.blocks, uint32_t(++worker.block), __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&mine.sleepers, __ATOMIC_SEQ_CST)) wake_sleepers(&mine.blocks);
}

void wait_for_others(const ColumnWorker& worker) {
  constexpr int kSpins = 2000;  // some 10 us, longer than threads differ that all have a core
  for (int i = 0; i < worker.threads; ++i) {
    Exchange& other = worker.exchanges[i];
    const auto seen = [&] { return __atomic_load_n(&other.blocks, __ATOMIC_SEQ_CST); };
    const auto there = [&] { return int32_t(seen() - uint32_t(worker.block)) >= 0; };
    for (int spins = 0; !there(); ++spins) {
      if (spins < kSpins) {
        wait_a_moment(0);
        continue;
      }
      __atomic_fetch_add(&other.sleepers, 1, __ATOMIC_SEQ_CST);
      const uint32_t now = seen();
      if (int32_t(now - uint32_t(worker.block)) < 0) sleep_while(&other.blocks, now);
      __atomic_fetch_sub(&other.sleepers, 1, __ATOMIC_SEQ_CST);
    }
  }
}

/// Puts each matrix's columns in blocks, one for each thread, or back in rows; threads share out the matrices.
void Columns::rearrange(int thread, bool apart) {
  if (threads() == 1) return;
  Line* const buffer = reinterpret_cast<Line*>(buffers_[size_t(thread)].get());
  float* const matrices[] = {settings_.vectors, settings_.node_vectors, settings_.negative_vectors};
  const int64_t rows = settings_.vocab;
  const auto lines_before = [&](int t) {
    return int64_t(t < threads() ? workers_[size_t(t)]->begin() : settings_.stride) / kLine;
  };
  int turn = 0;
  for (float* matrix : matrices) {
    if (!matrix || turn++ % threads() != thread) continue;
    Line* const lines = reinterpret_cast<Line*>(matrix);
    // The last thread's columns go first; the last ones to go are the first to come back.
    for (int i = 1; i < threads(); ++i) {
      const int t = apart ? threads() - i : i;
      const int64_t left = lines_before(t), right = lines_before(t + 1) - left;
      (apart ? part : join)(lines, rows, left, right, buffer);
    }
  }
}

ColumnMemory::ColumnMemory(const Settings& s, int groups, int first, int last) : WorkerMemory(s) {
  worker = this;
  num_groups = last - first;
  for (int g = first; g <= last; ++g) group_ends[g - first] = int(int64_t(s.stride / kLine) * g / groups) * kLine;
  for (Rows* rows : {&inputs, &nodes, &negatives})
    if (rows->shared) rows->shared += s.vocab * begin();
  const int contexts = s.skip_gram ? kMaxTile : 1;  // of a step, as far as output rows are concerned
  max_steps = kMaxSteps;
  max_words = max_rows = kMaxSteps * kMaxTile;
  max_products = kUsualProducts;
  const int64_t room = contexts * int64_t(kMaxTurns + s.negative + 1 + 2 * kSpare + kMaxTile);  // of a step's products
  for (int i = 0; i < 2; ++i) {
    steps_memory[i] = Array<ColumnStep>(max_steps);
    words_memory[i] = Array<int32_t>(max_words + 2 * int64_t(s.window));
    rows_memory[i] = Array<int32_t>(max_rows + contexts * int64_t(s.negative + 2));
    products_memory[i] = Array<float>(max_products + room);
    blocks[i] = {steps_memory[i].get(), words_memory[i].get(), rows_memory[i].get(), 0, 0, 0, 0};
  }
  totals_memory = Array<float>(max_products + room);
  totals = totals_memory.get();
  hidden_memory = Array<float>(s.skip_gram ? 0 : int64_t(max_steps) * columns());
  hidden = hidden_memory.get();
  ignored_row = Array<float>(s.stride);
  ignored_memory = Array<float*>(s.max_rows());
  std::fill_n(ignored_memory.get(), s.max_rows(), ignored_row.get());
  ignored = ignored_memory.get();
}

Columns::Columns(const Settings& settings, const Kernels& kernels, int threads, const std::vector<int64_t>& chunks)
    : settings_(settings), kernels_(kernels), chunks_(chunks) {
  const int groups = count_groups(settings.stride / kLine);
  threads = count_threads(threads, groups);
  exchanges_ = std::make_unique<Exchange[]>(size_t(threads));
  for (int i = 0; i < threads; ++i) {
    workers_.push_back(
        std::make_unique<ColumnMemory>(settings, groups, groups * i / threads, groups * (i + 1) / threads));
    ColumnMemory& worker = *workers_.back();
    worker.exchanges = exchanges_.get();
    worker.thread = i;
    worker.threads = threads;
    if (threads > 1) buffers_.emplace_back(kBufferLines * kLine);
    for (int k = 0; k < 2; ++k) exchanges_[size_t(i)].products[k] = worker.products_memory[k].get();
  }
  barrier_.reset(threads);
}

void Columns::run(int thread, const Epoch& epoch, int64_t first, const std::atomic<bool>& stop,
                  std::atomic<int64_t>& done) {
  const uint64_t key = epoch_key(settings_.seed, epoch.number);
  rearrange(thread, true);
  for (int64_t chunk = first; chunk + 1 < int64_t(chunks_.size()); ++chunk) {
    if (thread == 0) stopping_ = stop.load(std::memory_order_relaxed);
    barrier_.wait();
    if (stopping_) break;
    const Sentences range{chunks_[size_t(chunk)], chunks_[size_t(chunk) + 1]};
    kernels_.train_columns(settings_, *workers_[size_t(thread)], range, key,
                           float(epoch.alpha_at(settings_, range.begin)));
    barrier_.wait();
    if (thread == 0) done.store(chunk + 1, std::memory_order_relaxed);
  }
  barrier_.wait();
  rearrange(thread, false);
}

}  // namespace word2vec
}  // namespace fastrnn
