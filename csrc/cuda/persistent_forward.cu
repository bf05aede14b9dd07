#define FASTRNN_PERSISTENT_CALL Forward
#include "cuda/drive_persistent.h"
