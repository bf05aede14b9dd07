#pragma once
#include "core/host_device.h"

namespace fastrnn {

/// A state after zoneout, which keeps a part of the old one (core/layer.h). Exact where that part is 0 or 1.
template <class V>
FASTRNN_HD V zoned(V kept, V before, V made) {
  return fma(kept, before, (V(typename V::Scalar(1)) - kept) * made);
}

}  // namespace fastrnn
