#pragma once
// Numbers of 16 bits as they lie in memory: nothing is computed in them.

#include <stdint.h>

namespace fastrnn {
namespace cuda {

struct Float16 {
  uint16_t bits;
};
struct Bfloat16 {
  uint16_t bits;
};

}  // namespace cuda
}  // namespace fastrnn
