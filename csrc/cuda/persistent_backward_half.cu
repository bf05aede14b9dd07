#include "cuda/drive_persistent.h"

FASTRNN_PERSISTENT(Float16, Backward)
FASTRNN_PERSISTENT(Bfloat16, Backward)
