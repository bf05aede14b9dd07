#include "cuda/drive_stepwise.h"

FASTRNN_STEPWISE(Float16)
FASTRNN_STEPWISE(Bfloat16)
