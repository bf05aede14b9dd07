#include "cuda/drive_persistent.h"

FASTRNN_PERSISTENT(float, Backward)
