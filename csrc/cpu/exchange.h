#pragma once
// Arrays of a call in another number type: memory for the copies, and moving the numbers there and back on all threads.

#include <stddef.h>
#include <stdint.h>

#include <memory>
#include <vector>

#include "core/layer.h"
#include "cpu/kernels.h"
#include "cpu/scratch.h"

namespace fastrnn {

/// Rows [outer, inner, columns] on both sides, strides in numbers. `padding` zeros follow each row of `to`.
struct Transfer {
  Convert convert;
  const char* from;
  char* to;
  int from_size, to_size;  // bytes of a number
  int64_t outer, inner, columns, from_outer, from_inner, to_outer, to_inner;
  int64_t padding;
  // Sequences of different lengths: the copy is packed, and a padded other side, [outer, inner, columns], has the rows
  // where the map says; none where it is null.
  const RowMap* map = nullptr;
  int64_t steps = 0;
  bool out = false;
};

/// A slot is a pointer among a call's arguments. in() and out() note that it shall point to a copy; open() makes the
/// copies and fills those that came by in(); close() moves what came by out() back to where the slot pointed first.
/// Slots that are null stay so.
class Exchange {
 public:
  void in(void** slot, int64_t count, Convert convert, int from_size, int to_size);
  void in(const void** slot, int64_t count, Convert convert, int from_size, int to_size) {
    in(const_cast<void**>(slot), count, convert, from_size, to_size);
  }
  void out(void** slot, int64_t count, Convert convert, int from_size, int to_size);
  /// Lets the copy that a slot's out() asked for lie in memory of the caller's.
  void place(void** slot, void* memory);
  /// [T, B, columns]; the copy is dense, packed where sequences differ in length, with rows of `padded` numbers.
  void in(Sequence& sequence, const LayerShape& shape, const RowMap& map, int64_t columns, int64_t padded,
          Convert convert, int from_size, int to_size);
  void out(Sequence& sequence, const LayerShape& shape, const RowMap& map, int64_t columns, Convert convert,
           int from_size, int to_size);
  /// [rows, columns] to rows of `padded` numbers.
  void in_rows(void** slot, int64_t rows, int64_t columns, int64_t padded, Convert convert, int from_size, int to_size);

  void open(int threads);
  void close(int threads);

 private:
  struct Entry {
    void** slot;
    size_t offset;
    bool out;
    char* memory;  // null: in memory of this object's own
    Transfer transfer;
  };
  void add(void** slot, bool out, const Transfer& transfer);
  void move(bool out, int threads);

  std::vector<Entry> entries_;
  size_t bytes_ = 0;
  std::unique_ptr<Scratch> memory_;
};

}  // namespace fastrnn
