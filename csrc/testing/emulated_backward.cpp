// Of the emulated engine, the kernels that run backward for the whole sequence.

#include "cuda/drive_persistent.h"

FASTRNN_PERSISTENT(float, Backward)
FASTRNN_PERSISTENT(Float16, Backward)
FASTRNN_PERSISTENT(Bfloat16, Backward)
