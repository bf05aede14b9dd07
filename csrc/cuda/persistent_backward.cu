#define FASTRNN_PERSISTENT_CALL Backward
#include "cuda/drive_persistent.h"
