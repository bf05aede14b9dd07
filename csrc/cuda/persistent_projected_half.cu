#include "cuda/drive_projected_persistent.h"

FASTRNN_PROJECTED(Float16)
FASTRNN_PROJECTED(Bfloat16)
