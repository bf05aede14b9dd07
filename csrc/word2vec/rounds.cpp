#include "word2vec/rounds.h"

#include <math.h>
#include <string.h>

#include "word2vec/random.h"

namespace fastrnn {
namespace word2vec {
namespace {

// How much of the way to where a row is pulled one visit goes, over the learning rate: sets how far rows that several
// shards have pulled the same way are averaged rather than summed. Measured by held-out likelihood.
constexpr double kPull = 0.1;

constexpr int32_t kOwned = 4;  // neighboring rows that one thread merges

}  // namespace

Rounds::Rounds(const Settings& settings, const Kernels& kernels, int threads, const std::vector<int64_t>& chunks)
    : settings_(settings), kernels_(kernels), threads_(threads), chunks_(chunks) {
  int64_t longest = 0;  // words of a shard
  for (size_t i = 0; i + 1 < chunks.size(); ++i)
    longest = std::max(longest, settings.offsets[chunks[i + 1]] - settings.offsets[chunks[i]]);
  longest = longest / kShards + 2 * kMaxPiece;
  const int64_t per_word[3] = {1, kMaxTurns,
                               int64_t(settings.negative) * (settings.skip_gram ? 2 * settings.window : 1) + 1};
  shards_.reserve(kShards);
  for (int i = 0; i < kShards; ++i) {
    shards_.emplace_back(settings);
    Shard& shard = shards_.back();
    for (int m = 0; m < 3; ++m) {
      Rows& rows = *shard.rows(m);
      if (!rows.shared) continue;
      const int64_t most = std::min(settings.vocab, longest * per_word[m]);
      shard.copies[m] = Array<float>(most * settings.stride);
      shard.lists[m] = Array<int32_t>(2 * most);
      rows.copy = shard.copies[m].get();
      rows.touched = shard.lists[m].get();
      rows.visits = rows.touched + most;
      shard.earlier[m] = Array<int32_t>(most);
    }
  }
  for (int m = 0; m < 3; ++m) {
    if (!shards_[0].rows(m)->shared) continue;
    last_[m] = Array<int32_t>(settings.vocab);
    std::fill_n(last_[m].get(), settings.vocab, -1);
  }
  for (int i = 0; i < threads; ++i) {
    threads_memory_.emplace_back();
    Thread& memory = threads_memory_.back();
    memory.merged = Array<int32_t>(settings.vocab);
    for (int m = 0; m < 3; ++m) {
      if (!last_[m].get()) continue;
      memory.slots[m] = Array<int32_t>(settings.vocab);
      std::fill_n(memory.slots[m].get(), settings.vocab, -1);
    }
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
    merge(thread, alpha);
    barrier_.wait();
    if (thread == 0) done.store(round + 1, std::memory_order_relaxed);
  }
  return int64_t(chunks_.size()) - 1;
}

void Rounds::train(Shard& shard, Thread& memory, uint64_t key, double alpha) {
  for (int m = 0; m < 3; ++m) {
    shard.rows(m)->num_touched = 0;
    shard.rows(m)->slot = memory.slots[m].get();
  }
  for (const Piece& piece : shard.pieces)
    kernels_.train_shard(settings_, shard, piece.begin, piece.end, key, float(alpha));
  for (int m = 0; m < 3; ++m) {
    const Rows& rows = *shard.rows(m);
    for (int32_t k = 0; k < rows.num_touched; ++k) rows.slot[rows.touched[k]] = -1;
  }
}

/// Each row belongs to one thread, which first links its copies, in the order of the shards, and then merges them.
void Rounds::merge(int thread, double alpha) {
  const Array<float> sum(settings_.stride);
  int32_t* const merged = threads_memory_[size_t(thread)].merged.get();
  for (int m = 0; m < 3; ++m) {
    int32_t* const last = last_[m].get();
    if (!last) continue;
    int64_t count = 0;
    for (int i = 0; i < kShards; ++i) {
      const Rows& rows = *shards_[size_t(i)].rows(m);
      int32_t* const earlier = shards_[size_t(i)].earlier[m].get();
      for (int32_t slot = 0; slot < rows.num_touched; ++slot) {
        const int32_t row = rows.touched[slot];
        if (row / kOwned % threads_ != thread) continue;
        if (last[row] < 0) merged[count++] = row;
        earlier[slot] = last[row];
        last[row] = slot * kShards + i;
      }
    }
    for (int64_t k = 0; k < count; ++k) {
      if (k + 2 < count) prefetch(m, merged[k + 2]);
      merge_row(m, merged[k], last[merged[k]], sum.get(), alpha);
      last[merged[k]] = -1;
    }
  }
}

void Rounds::prefetch(int matrix, int32_t row) {
  const Rows& rows = *shards_[0].rows(matrix);
  const int32_t place = last_[matrix].get()[row];
  const float* const copy =
      shards_[size_t(place % kShards)].rows(matrix)->copy + int64_t(place / kShards) * settings_.stride;
  const float* const target = rows.shared + int64_t(row) * settings_.stride;
  for (int i = 0; i < settings_.stride; i += 16) {
    __builtin_prefetch(copy + i);
    __builtin_prefetch(target + i, 1);
  }
}

/// With q what a shard's visits leave of a row's distance to where it is pulled, m shards one after another would go
/// 1 - q^m of the way; each alone went 1 - q. So their sum is scaled by (1 - q^m) / (m (1 - q)): 1 where visits are
/// few, 1 / m, the mean, where every shard has gone all the way.
void Rounds::merge_row(int matrix, int32_t row, int32_t last, float* sum, double alpha) {
  const float* copies[kShards];
  int count = 0;
  int64_t visits = 0;
  for (int32_t place = last; place >= 0;) {
    Shard& shard = shards_[size_t(place % kShards)];
    const int32_t slot = place / kShards;
    const Rows& rows = *shard.rows(matrix);
    copies[count++] = rows.copy + int64_t(slot) * settings_.stride;
    visits += rows.visits[slot];
    place = shard.earlier[matrix].get()[slot];
  }
  const size_t bytes = size_t(settings_.stride) * sizeof(float);
  float* const target = shards_[0].rows(matrix)->shared + int64_t(row) * settings_.stride;
  if (count == 1) {
    memcpy(target, copies[0], bytes);
    return;
  }
  const double pulls = double(settings_.skip_gram ? settings_.window + 1 : 1);
  const double log_q = -alpha * kPull * pulls * double(visits) / count;
  const double weight = expm1(count * log_q) / (count * expm1(log_q));
  memcpy(sum, target, bytes);
  for (int i = count; i-- > 0;)
    kernels_.blend(sum, copies[i], target, weight < 1 ? float(weight) : 1.0f, settings_.stride);
  memcpy(target, sum, bytes);
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
