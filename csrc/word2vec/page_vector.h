#pragma once
// Vectors whose memory goes back to the system when they are freed. What threads have taken from heaps of their own
// stays there: 2.4 MB of buffers and words' tables, when 10 million words had been read.

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#endif

#include <new>
#include <vector>

namespace fastrnn {

/// Maps large pieces; their size alone tells which those are.
template <class T>
struct PageAllocator {
  using value_type = T;

  PageAllocator() = default;
  template <class U>
  PageAllocator(const PageAllocator<U>&) {}

  T* allocate(size_t count) {
    if (count > SIZE_MAX / 2 / sizeof(T)) throw std::bad_alloc();
#if defined(__unix__) || defined(__APPLE__)
    if (count * sizeof(T) >= kLeast) {
      void* const mapped = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (mapped == MAP_FAILED) throw std::bad_alloc();
      return static_cast<T*>(mapped);
    }
#endif
    void* const p = malloc(count ? count * sizeof(T) : 1);
    if (!p) throw std::bad_alloc();
    return static_cast<T*>(p);
  }

  void deallocate(T* p, size_t count) {
#if defined(__unix__) || defined(__APPLE__)
    if (count * sizeof(T) >= kLeast) {
      munmap(p, count * sizeof(T));
      return;
    }
#endif
    free(p);
  }

  template <class U>
  bool operator==(const PageAllocator<U>&) const {
    return true;
  }
  template <class U>
  bool operator!=(const PageAllocator<U>&) const {
    return false;
  }

 private:
  static constexpr size_t kLeast = size_t(64) << 10;  // bytes
};

template <class T>
using PageVector = std::vector<T, PageAllocator<T>>;

}  // namespace fastrnn
