#include "word2vec/rounds.h"

#include <math.h>
#include <string.h>

#include <algorithm>

#include "word2vec/random.h"

namespace fastrnn {
namespace word2vec {
namespace {

// How much of the way to where a row is pulled one visit goes, over the learning rate: sets how far rows that several
// shards have pulled the same way are averaged rather than summed. Measured by held-out likelihood.
constexpr double kPull = 0.1;

// Rows that shards copy, of each matrix: those that a shard visits so often that it should see what it did to them.
// With 1024, copying and merging cost a quarter of the speed, and the likelihood is the same.
constexpr int64_t kHotRows = 64;

/// The thread that changes a row; four neighbors have the same one.
int owner(int32_t row, int threads) {
  return int(uint64_t(uint32_t(row) / 4 * 2654435761u) * uint64_t(threads) >> 32);  // spread by Knuth's constant
}

}  // namespace

Rounds::Rounds(const Settings& settings, const Kernels& kernels, int threads, const std::vector<int64_t>& chunks)
    : settings_(settings), kernels_(kernels), threads_(threads), chunks_(chunks) {
  int64_t longest = 0;  // words of a shard
  for (size_t i = 0; i + 1 < chunks.size(); ++i)
    longest = std::max(longest, settings.offsets[chunks[i + 1]] - settings.offsets[chunks[i]]);
  longest = longest / kShards + 2 * kMaxPiece;
  const bool slots = settings.hierarchical() && settings.skip_gram;
  const int64_t steps = settings.skip_gram ? 2 * int64_t(settings.window) : 1;  // of a word
  const int64_t most_updates[3] = {longest, longest * kMaxTurns, longest * steps * (settings.negative + 1)};
  const int64_t most_slots = std::min(settings.vocab, longest * kMaxTurns);
  shards_.reserve(kShards);
  for (int i = 0; i < kShards; ++i) {
    shards_.emplace_back(settings);
    Shard& shard = shards_.back();
    for (int m = 0; m < 3; ++m) {
      Rows& rows = *shard.rows(m);
      if (!rows.shared) continue;
      const bool by_slot = m == 1 && slots;
      const int64_t copies = by_slot ? most_slots : std::min(settings.vocab, kHotRows);
      shard.copies[m] = Array<float>(copies * settings.stride);
      shard.visit_counts[m] = Array<int32_t>(copies + 1);
      rows.copy = shard.copies[m].get();
      rows.visits = shard.visit_counts[m].get();
      if (by_slot) continue;
      rows.hot = int32_t(copies);
      if (m > 0 && !settings.train_outputs) continue;
      shard.updates_memory[m] = Array<Update>(most_updates[m]);
      rows.updates = shard.updates_memory[m].get();
    }
    // A word's errors and itself, and at worst an input for each step of both objectives.
    shard.saved_memory = Array<float>(longest * (steps + 3) * settings.stride);
    shard.saved = shard.saved_memory.get();
    if (!slots) continue;
    shard.slot_rows = Array<int32_t>(most_slots);
    shard.nodes.touched = shard.slot_rows.get();
    shard.earlier = Array<int32_t>(most_slots);
  }
  if (slots) {
    last_ = Array<int32_t>(settings.vocab);
    std::fill_n(last_.get(), settings.vocab, -1);
  }
  for (int i = 0; i < threads; ++i) {
    threads_memory_.emplace_back();
    Thread& memory = threads_memory_.back();
    memory.mine = Array<int32_t>(std::max({settings.vocab, most_updates[0], most_updates[1], most_updates[2]}));
    if (!slots) continue;
    memory.slots = Array<int32_t>(settings.vocab);
    std::fill_n(memory.slots.get(), settings.vocab, -1);
  }
  barrier_.reset(threads);
}

void Rounds::cut(int64_t round) {
  for (Shard& shard : shards_) shard.pieces.clear();
  const int64_t first = chunks_[size_t(round)], last = chunks_[size_t(round) + 1];
  const int64_t start = settings_.offsets[first], words = settings_.offsets[last] - start;
  size_t shard = 0;
  for (int64_t s = first; s < last; ++s) {
    for (int64_t begin = settings_.offsets[s]; begin < settings_.offsets[s + 1]; begin += kMaxPiece) {
      const int64_t end = std::min(begin + kMaxPiece, settings_.offsets[s + 1]);
      shards_[shard].pieces.push_back({begin, end});
      if ((end - start) * kShards >= words * int64_t(shard + 1) && shard + 1 < kShards) ++shard;
    }
  }
}

int64_t Rounds::run(int thread, const Epoch& epoch, int64_t first, const std::atomic<bool>& stop,
                    std::atomic<int64_t>& done) {
  const Array<float> sum(settings_.stride);
  const uint64_t key = epoch_key(settings_.seed, epoch.number);
  for (int64_t round = first; round + 1 < int64_t(chunks_.size()); ++round) {
    if (thread == 0) {
      stopping_ = stop.load(std::memory_order_relaxed);
      cut(round);
      for (std::atomic<bool>& taken : taken_) taken.store(false, std::memory_order_relaxed);
    }
    barrier_.wait();
    if (stopping_) return round;
    const double alpha = epoch.alpha_at(settings_, chunks_[size_t(round)]);
    for (int k = 0; k < kShards; ++k) {
      // Each thread begins with shards of its own, whose copies are in its cache, and then helps the others.
      const int i = (k + thread * kShards / threads_) % kShards;
      if (taken_[i].exchange(true, std::memory_order_relaxed)) continue;
      train(shards_[size_t(i)], threads_memory_[size_t(thread)], key, alpha);
    }
    barrier_.wait();
    if (last_.get()) merge_slots(thread, sum.get(), alpha);
    for (int m = 0; m < 3; ++m) {
      merge_hot(m, thread, sum.get(), alpha);
      add_updates(m, thread);
    }
    barrier_.wait();
    if (thread == 0) done.store(round + 1, std::memory_order_relaxed);
  }
  return int64_t(chunks_.size()) - 1;
}

void Rounds::train(Shard& shard, Thread& memory, uint64_t key, double alpha) {
  for (int m = 0; m < 3; ++m) {
    Rows& rows = *shard.rows(m);
    rows.num_updates = 0;
    if (!rows.hot) continue;
    memcpy(rows.copy, rows.shared, size_t(rows.hot) * size_t(settings_.stride) * sizeof(float));
    memset(rows.visits, 0, size_t(rows.hot + 1) * sizeof(int32_t));
  }
  shard.num_saved = 0;
  shard.nodes.slot = memory.slots.get();
  shard.nodes.num_touched = 0;
  for (const Piece& piece : shard.pieces)
    kernels_.train_shard(settings_, shard, piece.begin, piece.end, key, float(alpha));
  for (int32_t k = 0; k < shard.nodes.num_touched; ++k) shard.nodes.slot[shard.nodes.touched[k]] = -1;
}

void Rounds::merge_hot(int matrix, int thread, float* sum, double alpha) {
  const int32_t hot = shards_[0].rows(matrix)->hot;
  for (int32_t row = 0; row < hot; ++row) {
    if (owner(row, threads_) != thread) continue;
    Copies copies;
    for (Shard& shard : shards_) {
      const Rows& rows = *shard.rows(matrix);
      if (rows.visits[row] == 0) continue;
      copies.rows[copies.count++] = rows.copy + int64_t(row) * settings_.stride;
      copies.visits += rows.visits[row];
    }
    if (copies.count) merge_row(shards_[0].rows(matrix)->shared + int64_t(row) * settings_.stride, copies, sum, alpha);
  }
}

/// Each thread first links the copies of its rows, in the order of the shards, and then merges them.
void Rounds::merge_slots(int thread, float* sum, double alpha) {
  int32_t* const merged = threads_memory_[size_t(thread)].mine.get();
  int32_t* const last = last_.get();
  int64_t count = 0;
  for (int i = 0; i < kShards; ++i) {
    const Shard& shard = shards_[size_t(i)];
    for (int32_t slot = 0; slot < shard.nodes.num_touched; ++slot) {
      const int32_t row = shard.nodes.touched[slot];
      if (owner(row, threads_) != thread) continue;
      if (last[row] < 0) merged[count++] = row;
      shard.earlier.get()[slot] = last[row];
      last[row] = slot * kShards + i;
    }
  }
  for (int64_t k = 0; k < count; ++k) {
    if (k + 2 < count) prefetch(merged[k + 2]);
    Copies copies;
    for (int32_t place = last[merged[k]]; place >= 0;) {
      const Shard& shard = shards_[size_t(place % kShards)];
      const int32_t slot = place / kShards;
      copies.rows[copies.count++] = shard.nodes.copy + int64_t(slot) * settings_.stride;
      copies.visits += shard.nodes.visits[slot];
      place = shard.earlier.get()[slot];
    }
    std::reverse(copies.rows, copies.rows + copies.count);
    merge_row(shards_[0].nodes.shared + int64_t(merged[k]) * settings_.stride, copies, sum, alpha);
    last[merged[k]] = -1;
  }
}

void Rounds::prefetch(int32_t row) {
  const int32_t place = last_.get()[row];
  const float* const copy = shards_[size_t(place % kShards)].nodes.copy + int64_t(place / kShards) * settings_.stride;
  const float* const target = shards_[0].nodes.shared + int64_t(row) * settings_.stride;
  for (int i = 0; i < settings_.stride; i += 16) {
    __builtin_prefetch(copy + i);
    __builtin_prefetch(target + i, 1);
  }
}

/// With q what a shard's visits leave of a row's distance to where it is pulled, m shards one after another would go
/// 1 - q^m of the way; each alone went 1 - q. So their sum is scaled by (1 - q^m) / (m (1 - q)): 1 where visits are
/// few, 1 / m, the mean, where every shard has gone all the way.
void Rounds::merge_row(float* target, const Copies& copies, float* sum, double alpha) {
  const size_t bytes = size_t(settings_.stride) * sizeof(float);
  const int count = copies.count;
  if (count == 1) {
    memcpy(target, copies.rows[0], bytes);
    return;
  }
  const double pulls = double(settings_.skip_gram ? settings_.window + 1 : 1);
  const double log_q = -alpha * kPull * pulls * double(copies.visits) / count;
  const double weight = expm1(count * log_q) / (count * expm1(log_q));
  memcpy(sum, target, bytes);
  for (int i = 0; i < count; ++i)
    kernels_.blend(sum, copies.rows[i], target, weight < 1 ? float(weight) : 1.0f, settings_.stride);
  memcpy(target, sum, bytes);
}

void Rounds::add_updates(int matrix, int thread) {
  int32_t* const mine = threads_memory_[size_t(thread)].mine.get();
  for (Shard& shard : shards_) {
    const Rows& rows = *shard.rows(matrix);
    int64_t count = 0;
    for (int64_t k = 0; k < rows.num_updates; ++k) {
      mine[count] = int32_t(k);
      count += owner(rows.updates[k].row, threads_) == thread;
    }
    kernels_.add_updates(rows.shared, rows.updates, mine, count, shard.saved, settings_.stride);
  }
}

Counts Rounds::counts() const {
  Counts all;
  for (const Shard& shard : shards_) {
    all.words += shard.counts.words;
    all.kept += shard.counts.kept;
    all.pairs += shard.counts.pairs;
    all.loss += shard.counts.loss;
  }
  return all;
}

void Rounds::clear_counts() {
  for (Shard& shard : shards_) shard.counts = {};
}

}  // namespace word2vec
}  // namespace fastrnn
