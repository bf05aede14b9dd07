#include "cpu/exchange.h"

#include <string.h>

#include <algorithm>

namespace fastrnn {
namespace {

constexpr int64_t kNumbersPerThread = 1 << 15;  // fewer are converted sooner than another thread is awake
constexpr int64_t kLine = 64;                   // numbers that one thread takes together, so that no two share a line

void convert_rows(const Transfer& t, int64_t first, int64_t last) {
  for (int64_t row = first; row < last; ++row) {
    const int64_t i = row / t.inner, j = row % t.inner;
    char* const to = t.to + (i * t.to_outer + j * t.to_inner) * t.to_size;
    t.convert(t.from + (i * t.from_outer + j * t.from_inner) * t.from_size, to, t.columns);
    if (t.padding) memset(to + t.columns * t.to_size, 0, size_t(t.padding * t.to_size));
  }
}

int64_t transferred_rows(const Transfer& t) { return t.map ? t.map->offsets[t.steps] : t.outer * t.inner; }

/// Between packed rows and a padded sequence.
void convert_mapped_rows(const Transfer& t, int64_t first, int64_t last) {
  const int64_t* const offsets = t.map->offsets;
  int64_t time = std::upper_bound(offsets, offsets + t.steps + 1, first) - offsets - 1;
  for (int64_t row = first; row < last; ++row) {
    while (row >= offsets[time + 1]) ++time;
    const int64_t number = row - offsets[time], place = t.map->order ? t.map->order[number] : number;
    const int64_t padded_from = time * t.from_outer + place * t.from_inner, packed_to = row * t.to_inner;
    const int64_t packed_from = row * t.from_inner, padded_to = time * t.to_outer + place * t.to_inner;
    char* const to = t.to + (t.out ? padded_to : packed_to) * t.to_size;
    t.convert(t.from + (t.out ? packed_from : padded_from) * t.from_size, to, t.columns);
    if (t.padding) memset(to + t.columns * t.to_size, 0, size_t(t.padding * t.to_size));
  }
}

/// What belongs to no row, of times [first, last).
void zero_unmapped_rows(const Transfer& t, int64_t first, int64_t last) {
  for (int64_t time = first; time < last; ++time) {
    const int64_t count = time < t.steps ? t.map->offsets[time + 1] - t.map->offsets[time] : 0;
    for (int64_t number = count; number < t.inner; ++number) {
      const int64_t place = t.map->order ? t.map->order[number] : number;
      memset(t.to + (time * t.to_outer + place * t.to_inner) * t.to_size, 0, size_t(t.columns * t.to_size));
    }
  }
}

struct Work {
  std::vector<Transfer> transfers;
  int threads;

  static void run_thread(void* context, int thread) {
    const Work& work = *static_cast<const Work*>(context);
    for (const Transfer& t : work.transfers) {
      const int64_t rows = transferred_rows(t);
      if (t.map) {
        convert_mapped_rows(t, rows * thread / work.threads, rows * (thread + 1) / work.threads);
        if (t.out) zero_unmapped_rows(t, t.outer * thread / work.threads, t.outer * (thread + 1) / work.threads);
        continue;
      }
      if (rows > 1) {
        convert_rows(t, rows * thread / work.threads, rows * (thread + 1) / work.threads);
        continue;
      }
      const int64_t lines = (t.columns + kLine - 1) / kLine;
      const int64_t first = lines * thread / work.threads * kLine;
      const int64_t last = std::min(t.columns, lines * (thread + 1) / work.threads * kLine);
      if (first < last) t.convert(t.from + first * t.from_size, t.to + first * t.to_size, last - first);
      if (thread == 0 && t.padding) memset(t.to + t.columns * t.to_size, 0, size_t(t.padding * t.to_size));
    }
  }
};

/// One long row where both sides are dense.
Transfer flattened(Transfer t) {
  if (t.map) return t;
  const bool rows_dense = t.inner == 1 || (t.from_inner == t.columns && t.to_inner == t.columns);
  const int64_t step = t.inner * t.columns;
  if (!t.padding && rows_dense && (t.outer == 1 || (t.from_outer == step && t.to_outer == step))) {
    t.columns = t.outer * step;
    t.outer = t.inner = 1;
  }
  return t;
}

}  // namespace

void Exchange::add(void** slot, bool out, const Transfer& transfer) {
  if (!*slot) return;
  entries_.push_back({slot, bytes_, out, nullptr, flattened(transfer)});
  const int64_t numbers = transferred_rows(transfer) * (transfer.columns + transfer.padding);
  bytes_ += (size_t(numbers) * size_t(out ? transfer.from_size : transfer.to_size) + 63) / 64 * 64;
}

void Exchange::in(void** slot, int64_t count, Convert convert, int from_size, int to_size) {
  add(slot, false, {convert, nullptr, nullptr, from_size, to_size, 1, 1, count, 0, 0, 0, 0, 0});
}

void Exchange::out(void** slot, int64_t count, Convert convert, int from_size, int to_size) {
  add(slot, true, {convert, nullptr, nullptr, from_size, to_size, 1, 1, count, 0, 0, 0, 0, 0});
}

void Exchange::in_rows(void** slot, int64_t rows, int64_t columns, int64_t padded, Convert convert, int from_size,
                       int to_size) {
  add(slot, false,
      {convert, nullptr, nullptr, from_size, to_size, 1, rows, columns, 0, columns, 0, padded, padded - columns});
}

void Exchange::in(Sequence& sequence, const LayerShape& s, const RowMap& map, int64_t columns, int64_t padded,
                  Convert convert, int from_size, int to_size) {
  if (!sequence.data) return;
  Transfer t{convert, nullptr,           nullptr,           from_size,        to_size, s.seq_len,       s.batch,
             columns, sequence.stride_t, sequence.stride_b, s.batch * padded, padded,  padded - columns};
  if (sequence.packed) {
    t.outer = 1;
    t.inner = s.rows;
  } else if (map.offsets) {
    t.map = &map;
    t.steps = s.seq_len;
  }
  add(&sequence.data, false, t);
  sequence.stride_t = s.batch * padded;
  sequence.stride_b = padded;
  sequence.packed = map.offsets != nullptr;
}

void Exchange::out(Sequence& sequence, const LayerShape& s, const RowMap& map, int64_t columns, Convert convert,
                   int from_size, int to_size) {
  if (!sequence.data) return;
  Transfer t{convert, nullptr,           nullptr, from_size,         to_size,           s.seq_len, s.batch,
             columns, s.batch * columns, columns, sequence.stride_t, sequence.stride_b, 0};
  if (sequence.packed) {
    t.outer = 1;
    t.inner = s.rows;
  } else if (map.offsets) {
    t.map = &map;
    t.steps = s.seq_len;
    t.outer = map.padded_steps;
    t.out = true;
  }
  add(&sequence.data, true, t);
  sequence.stride_t = s.batch * columns;
  sequence.stride_b = columns;
  sequence.packed = map.offsets != nullptr;
}

void Exchange::place(void** slot, void* memory) {
  Entry& last = entries_.back();  // asked for just before
  if (last.slot != slot) return;
  last.memory = static_cast<char*>(memory);
  bytes_ = last.offset;
}

void Exchange::open(int threads) {
  memory_ = std::make_unique<Scratch>(std::max<size_t>(bytes_, 64));
  for (Entry& entry : entries_) {
    char* const given = static_cast<char*>(*entry.slot);
    char* const copy = entry.memory ? entry.memory : static_cast<char*>(memory_->data()) + entry.offset;
    entry.transfer.from = entry.out ? copy : given;
    entry.transfer.to = entry.out ? given : copy;
    *entry.slot = copy;
  }
  move(false, threads);
}

void Exchange::close(int threads) { move(true, threads); }

void Exchange::move(bool out, int threads) {
  Work work{{}, 1};
  int64_t numbers = 0;
  for (const Entry& entry : entries_) {
    if (entry.out != out) continue;
    work.transfers.push_back(entry.transfer);
    numbers += transferred_rows(entry.transfer) * entry.transfer.columns;
  }
  if (work.transfers.empty()) return;
  const int available = threads > 0 ? std::min(threads, thread_limit()) : max_threads();
  work.threads = int(std::max<int64_t>(1, std::min<int64_t>(available, numbers / kNumbersPerThread)));
  if (run_parallel(work.threads, work.run_thread, &work)) return;
  work.threads = 1;
  run_parallel(1, work.run_thread, &work);
}

}  // namespace fastrnn
