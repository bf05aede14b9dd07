#pragma once
// AVX-512 with BF16. Its code is in a namespace of its own, so that none of it can take the place of plain AVX-512's.

#include "cpu/vec_avx512.h"
