#include "cuda/drive_projected_persistent.h"

FASTRNN_PROJECTED(float)
