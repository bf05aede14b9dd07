#pragma once
// Layer normalization of a row, n = (x - mean) scale with scale = 1 / sqrt(variance + epsilon), on any value type; who
// calls adds up the row. The variance is the mean of the squares of what is centered, not a difference of large sums.

#include <math.h>

#include "core/host_device.h"

namespace fastrnn {

FASTRNN_HD float square_root(float x) { return ::sqrtf(x); }
FASTRNN_HD double square_root(double x) { return ::sqrt(x); }

/// From the sum of the squares of x - mean over `size` values.
template <class T>
FASTRNN_HD T scale_of_row(T squares, T size, T epsilon) {
  return T(1) / square_root(squares / size + epsilon);
}

template <class V>
FASTRNN_HD V normalized(V x, V mean, V scale) {
  return (x - mean) * scale;
}

/// The gradient of x, given that of its normalized value n and the means over the row of d_n and of d_n n.
template <class V>
FASTRNN_HD V normalization_gradient(V d_n, V n, V scale, V mean, V mean_product) {
  return scale * (d_n - fma(n, mean_product, mean));
}

}  // namespace fastrnn
