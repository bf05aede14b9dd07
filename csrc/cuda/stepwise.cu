#include "cuda/drive_stepwise.h"

FASTRNN_STEPWISE(float)
FASTRNN_STEPWISE(double)
