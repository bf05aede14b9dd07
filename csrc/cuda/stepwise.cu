#include "cuda/drive_stepwise.h"
