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

struct Work {
  std::vector<Transfer> transfers;
  int threads;

  static void run_thread(void* context, int thread) {
    const Work& work = *static_cast<const Work*>(context);
    for (const Transfer& t : work.transfers) {
      const int64_t rows = t.outer * t.inner;
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
  const int64_t numbers = transfer.outer * transfer.inner * (transfer.columns + transfer.padding);
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

void Exchange::in(Sequence& sequence, const LayerShape& s, int64_t columns, int64_t padded, Convert convert,
                  int from_size, int to_size) {
  if (!sequence.data) return;
  add(&sequence.data, false,
      {convert, nullptr, nullptr, from_size, to_size, s.seq_len, s.batch, columns, sequence.stride_t, sequence.stride_b,
       s.batch * padded, padded, padded - columns});
  sequence.stride_t = s.batch * padded;
  sequence.stride_b = padded;
}

void Exchange::out(Sequence& sequence, const LayerShape& s, int64_t columns, Convert convert, int from_size,
                   int to_size) {
  if (!sequence.data) return;
  add(&sequence.data, true,
      {convert, nullptr, nullptr, from_size, to_size, s.seq_len, s.batch, columns, s.batch * columns, columns,
       sequence.stride_t, sequence.stride_b, 0});
  sequence.stride_t = s.batch * columns;
  sequence.stride_b = columns;
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
    numbers += entry.transfer.outer * entry.transfer.inner * entry.transfer.columns;
  }
  if (work.transfers.empty()) return;
  const int available = threads > 0 ? std::min(threads, thread_limit()) : max_threads();
  work.threads = int(std::max<int64_t>(1, std::min<int64_t>(available, numbers / kNumbersPerThread)));
  if (run_parallel(work.threads, work.run_thread, &work)) return;
  work.threads = 1;
  run_parallel(1, work.run_thread, &work);
}

}  // namespace fastrnn
