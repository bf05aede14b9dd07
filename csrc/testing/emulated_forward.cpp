// Of the emulated engine, the kernels that run forward for the whole sequence.

#include "cuda/drive_persistent.h"

FASTRNN_PERSISTENT(float, Forward)
FASTRNN_PERSISTENT(Float16, Forward)
FASTRNN_PERSISTENT(Bfloat16, Forward)
