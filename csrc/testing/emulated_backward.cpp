// Of the emulated engine, the persistent kernels that run backward.

#define FASTRNN_PERSISTENT_CALL Backward
#include "cuda/drive_persistent.h"
