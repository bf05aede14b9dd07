// Of the emulated engine, the persistent kernels with a projection.

#include "cuda/drive_projected_persistent.h"

FASTRNN_PROJECTED(float)
FASTRNN_PROJECTED(Float16)
FASTRNN_PROJECTED(Bfloat16)
