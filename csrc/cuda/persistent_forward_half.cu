#include "cuda/drive_persistent.h"

FASTRNN_PERSISTENT(Float16, Forward)
FASTRNN_PERSISTENT(Bfloat16, Forward)
