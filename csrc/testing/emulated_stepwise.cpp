// Of the emulated engine, the kernels of the stepwise path.

#include "cuda/drive_stepwise.h"

FASTRNN_STEPWISE(float)
FASTRNN_STEPWISE(double)
FASTRNN_STEPWISE(Float16)
FASTRNN_STEPWISE(Bfloat16)
