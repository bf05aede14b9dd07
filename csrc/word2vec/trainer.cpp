#include "word2vec/trainer.h"

#include <math.h>
#include <string.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "cpu/isa.h"
#include "word2vec/pages.h"
#include "word2vec/random.h"

namespace fastrnn {

#define FASTRNN_DECLARE(name, supported)           \
  namespace name {                                 \
  extern const word2vec::Kernels word2vec_kernels; \
  }
FASTRNN_FOR_EACH_ISA(FASTRNN_DECLARE)
#undef FASTRNN_DECLARE

namespace word2vec {
namespace {

constexpr int64_t kChunkWords = 10000;  // between two learning rates, as in word2vec.c and gensim

/// Small corpora have smaller chunks, so that the learning rate still falls in many steps.
int64_t chunk_words(int64_t words) { return std::max<int64_t>(256, std::min(kChunkWords, words / 64)); }

constexpr int64_t kManyWords = 1 << 20;  // with which a pass through the heap's free pieces costs nothing

// Hot rows that threads copy, in bytes of each matrix: with 100 floats, 512 nodes, which have three quarters of all
// visits to a path, 731 words as inputs and 1462 as outputs. Far less slows down two threads, more takes memory and
// leaves the second-level cache.
constexpr int64_t kHotNodeBytes = 224 << 10, kHotInputBytes = 320 << 10, kHotNegativeBytes = 640 << 10;

// A tier is merged every kStaleness / (alpha threads pulls) words, with the pulls that the tier's hottest row gets from
// a word: threads pull a row without seeing one another, and past a sum of about 1 / curvature overshoot together.
constexpr double kStaleness = 3;
constexpr double kNodePulls[kTiers] = {1, 1.0 / 16, 1.0 / 128};  // the root is on every path
constexpr double kWordPulls[kTiers] = {0.08, 0.02, 0.004};       // English, after subsampling at 1e-3

}  // namespace

void score_sentences(const Settings& settings, int threads, double* scores) {
  const Kernels& kernels = current_kernels();
  std::atomic<int64_t> next{0};
  const auto work = [&] {
    WorkerMemory worker(settings);
    constexpr int64_t kBlock = 64;  // sentences
    for (int64_t begin; (begin = next.fetch_add(kBlock)) < settings.num_sentences;)
      for (int64_t s = begin; s < std::min(begin + kBlock, settings.num_sentences); ++s)
        scores[s] = kernels.score(settings, worker, settings.offsets[s], settings.offsets[s + 1]);
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& thread : others) thread.join();
}

const float* sigmoid_table() {
  static const std::vector<float> table = [] {
    std::vector<float> entries(kSigmoidEntries);
    for (int i = 0; i < kSigmoidEntries; ++i) {
      const float e = float(::exp(double((float(i) / float(kSigmoidEntries) * 2 - 1) * 6)));
      entries[size_t(i)] = e / (e + 1);
    }
    return entries;
  }();
  return table.data();
}

const Kernels& current_kernels() {
  static const std::vector<const Kernels*> kernels = [] {
    std::vector<const Kernels*> found;
#define FASTRNN_ADD(name, supported) \
  AddIf<FASTRNN_BUILT_##name>::add([&](auto) { found.push_back(&name::word2vec_kernels); });
    FASTRNN_FOR_EACH_ISA(FASTRNN_ADD)
#undef FASTRNN_ADD
    return found;
  }();
  return *kernels[size_t(current_isa())];
}

struct Trainer::Shared {
  std::atomic<int64_t> next_chunk{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::condition_variable started, finished;
  enum class Start { kWait, kGo, kCancel } start = Start::kWait;  // the rest under the mutex, too
  int running = 0;
  Counts counts;
  std::atomic<int64_t> chunks_done{0};
};

Trainer::Trainer(const Settings& settings, int threads, bool deterministic)
    : settings_(settings), kernels_(current_kernels()), shared_(std::make_unique<Shared>()) {
  deterministic = deterministic && !settings.strict;  // strict runs have one thread anyway
  const int64_t words = settings.offsets[settings.num_sentences];
  chunks_ = cut_chunks(settings, chunk_words(words));
  const int64_t chunks = int64_t(chunks_.size()) - 1;
  threads = int(std::max<int64_t>(1, std::min<int64_t>(threads, chunks)));
  if (deterministic) {
    columns_ = std::make_unique<Columns>(settings_, kernels_, threads, chunks_);
    threads = columns_->threads();
  }
  workers_.reserve(size_t(threads));
  for (int i = 0; i < threads; ++i) {
    workers_.emplace_back(settings);
    if (threads == 1 || deterministic) continue;
    WorkerMemory& worker = workers_.back();
    const auto keep_hot = [&](Rows& rows, int64_t bytes) {
      const int64_t most = bytes / (settings.stride * int64_t(sizeof(float)));
      worker.keep_hot(rows, std::min(most, settings.vocab), settings.stride);
    };
    keep_hot(worker.nodes, kHotNodeBytes);
    keep_hot(worker.inputs, kHotInputBytes);
    keep_hot(worker.negatives, kHotNegativeBytes);
  }
  if (words >= kManyWords) return_free_memory();  // what setting up has left behind would stay until the end
}

Trainer::~Trainer() = default;

Progress Trainer::train(const Epoch& epoch, const std::function<bool(const Progress&)>& poll) {
  Shared& shared = *shared_;
  const auto start = std::lower_bound(chunks_.begin(), chunks_.end(), epoch.first_sentence);
  const int64_t first = start - chunks_.begin(), last = int64_t(chunks_.size()) - 1;
  shared.next_chunk = first;
  shared.chunks_done = first;
  shared.stop = false;
  shared.counts = {};
  shared.running = int(workers_.size());
  if (columns_) columns_->clear_counts();

  shared.start = Shared::Start::kWait;
  std::vector<std::thread> threads;
  const auto start_threads = [&](Shared::Start start) {
    const std::lock_guard<std::mutex> lock(shared.mutex);
    shared.start = start;
    shared.started.notify_all();
  };
  threads.reserve(workers_.size());
  try {
    for (size_t i = 0; i < workers_.size(); ++i) threads.emplace_back([this, i, &epoch] { run_thread(int(i), epoch); });
  } catch (...) {  // the system grants no more threads
    start_threads(Shared::Start::kCancel);
    for (std::thread& thread : threads) thread.join();
    throw;
  }
  start_threads(Shared::Start::kGo);

  Progress progress;
  const auto done = [&] { return std::min(last, columns_ ? shared.chunks_done.load() : shared.next_chunk.load()); };
  {
    std::unique_lock<std::mutex> lock(shared.mutex);
    while (!shared.finished.wait_for(lock, std::chrono::milliseconds(100), [&] { return shared.running == 0; })) {
      progress.counts = shared.counts;
      if (columns_)
        progress.counts.words = settings_.offsets[chunks_[size_t(done())]] - settings_.offsets[chunks_[size_t(first)]];
      progress.alpha = epoch.alpha_at(settings_, chunks_[size_t(done())]);
      lock.unlock();
      if (!poll(progress)) shared.stop = true;
      lock.lock();
    }
  }
  for (std::thread& thread : threads) thread.join();
  position_ = chunks_[size_t(done())];
  progress.counts = columns_ ? columns_->counts() : shared.counts;
  progress.alpha = epoch.alpha_at(settings_, position_);
  return progress;
}

void Trainer::run_thread(int thread, const Epoch& epoch) {
  Shared& shared = *shared_;
  WorkerMemory& worker = workers_[size_t(thread)];
  {
    std::unique_lock<std::mutex> lock(shared.mutex);
    shared.started.wait(lock, [&] { return shared.start != Shared::Start::kWait; });
    if (shared.start == Shared::Start::kCancel) return;
  }
  if (columns_) {
    columns_->run(thread, epoch, shared.chunks_done, shared.stop, shared.chunks_done);
  } else {
    const uint64_t key = epoch_key(settings_.seed, epoch.number);
    const bool hot = worker.nodes.hot || worker.inputs.hot || worker.negatives.hot;
    for (Rows* rows : {&worker.nodes, &worker.inputs, &worker.negatives}) {
      const size_t bytes = size_t(rows->hot) * size_t(settings_.stride) * sizeof(float);
      if (!bytes) continue;
      memcpy(rows->copy, rows->shared, bytes);
      memcpy(rows->base, rows->shared, bytes);
    }
    const int64_t chunks = int64_t(chunks_.size()) - 1;
    while (!shared.stop.load(std::memory_order_relaxed)) {
      const int64_t chunk = shared.next_chunk.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= chunks) break;
      const Sentences range{chunks_[size_t(chunk)], chunks_[size_t(chunk) + 1]};
      const double alpha = epoch.alpha_at(settings_, range.begin);
      worker.counts = {};
      if (hot) {
        set_merge_intervals(worker, alpha);
        kernels_.train_hot(settings_, worker, range, key, float(alpha));
        kernels_.merge(settings_, worker);
      } else {
        kernels_.train(settings_, worker, range, key, float(alpha));
      }
      const std::lock_guard<std::mutex> lock(shared.mutex);
      shared.counts.words += worker.counts.words;
      shared.counts.kept += worker.counts.kept;
      shared.counts.pairs += worker.counts.pairs;
      shared.counts.loss += worker.counts.loss;
    }
  }
  const std::lock_guard<std::mutex> lock(shared.mutex);
  if (--shared.running == 0) shared.finished.notify_one();
}

void Trainer::set_merge_intervals(Worker& worker, double alpha) const {
  const double contexts = settings_.skip_gram ? settings_.window + 1 : 1;  // of a center, each of which pulls
  const double stale = kStaleness / (std::max(alpha, 1e-6) * double(workers_.size()));
  Rows* const all[] = {&worker.nodes, &worker.inputs, &worker.negatives};
  for (Rows* rows : all) {
    for (int t = 0; t < kTiers; ++t) {
      const double pulls = rows == &worker.nodes       ? kNodePulls[t] * contexts
                           : rows == &worker.negatives ? kWordPulls[t] * contexts
                                                       : kWordPulls[t];
      rows->interval[t] = int64_t(std::min(std::max(stale / pulls, 4.0), 1e6));
      rows->left[t] = rows->interval[t];
    }
  }
  worker.until_merge = worker.slept = 1;
}

}  // namespace word2vec
}  // namespace fastrnn
