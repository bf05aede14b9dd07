#pragma once
// The only list of cells. Dispatch tables, bindings, tests and the benchmark are made from it; a cell's number is
// its place here. To add one: write its header beside this file and name it here.

#include "cells/coupled_lstm.h"
#include "cells/gru.h"
#include "cells/gru_reset_before.h"
#include "cells/layer_norm_gru.h"
#include "cells/layer_norm_lstm.h"
#include "cells/lstm.h"
#include "cells/multiplicative_lstm.h"
#include "cells/peephole_lstm.h"
#include "cells/peephole_lstm_full.h"
#include "cells/rnn.h"
#include "cells/ugrnn.h"

#define FASTRNN_FOR_EACH_CELL(X) \
  X(RnnTanhCell)                 \
  X(RnnReluCell)                 \
  X(LstmCell)                    \
  X(GruCell)                     \
  X(GruResetBeforeCell)          \
  X(PeepholeLstmCell)            \
  X(RnnSigmoidCell)              \
  X(CoupledLstmCell)             \
  X(UgrnnCell)                   \
  X(MultiplicativeLstmCell)      \
  X(PeepholeLstmFullCell)        \
  X(LayerNormLstmCell)           \
  X(LayerNormGruCell)

namespace fastrnn {
#define FASTRNN_COUNT_CELL(Cell) +1
constexpr int kNumCells = 0 FASTRNN_FOR_EACH_CELL(FASTRNN_COUNT_CELL);
#undef FASTRNN_COUNT_CELL
}  // namespace fastrnn
