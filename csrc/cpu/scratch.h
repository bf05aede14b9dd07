#pragma once
// A process-wide cache of large blocks. Fresh memory costs 0.37 ms/MiB in page faults on a virtual machine, because
// the C library returns blocks past 32 MiB to the system on every free; kept blocks cost nothing.

#include <stddef.h>

namespace fastrnn {

/// 64-byte aligned memory with undefined contents; throws std::bad_alloc.
void* acquire_block(size_t bytes);
void release_block(void* block) noexcept;

/// Bytes in blocks that wait for reuse; and giving them back to the system.
size_t idle_block_bytes();
void free_idle_blocks();

/// A block for the length of a scope.
class Scratch {
 public:
  explicit Scratch(size_t bytes) : block_(acquire_block(bytes)) {}
  ~Scratch() { release_block(block_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* data() const { return block_; }

 private:
  void* block_;
};

}  // namespace fastrnn
