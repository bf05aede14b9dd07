#!/usr/bin/env bash
# Everything that needs a GPU, in one go. Stages, all of them unless some are named with --stages a,b:
#   build      installs the package with the CUDA engine for the GPU at hand
#   floor      measures what exchanges and launches cost (gpu_floor.cu): constants of csrc/cuda/plan_costs.cpp
#   tests      pytest -m cuda
#   stress     some of them again, with blocks that dawdle before they exchange
#   benchmark  beside torch on cuDNN (gpu.py): bench/results/gpu-NAME.json and .md
#   sanitizer  compute-sanitizer over some of the tests
# Other options go to gpu.py (--quick takes few shapes, --seconds ends in time). Needs nvcc, a GPU, and a Python with
# torch for it:
#   PYTHON=/path/to/python bench/gpu.sh --stages build,tests --quick
# RESULTS=FOLDER puts what it writes there; LIMIT=SECONDS cuts off each of the last four stages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
root=$PWD
results=${RESULTS:-$root/bench/results}
limit=${LIMIT:-3600}
stages=build,floor,tests,stress,benchmark,sanitizer
if [[ ${1:-} == --stages ]]; then
  stages=$2
  shift 2
fi
mkdir -p "$results"
results=$(cd "$results" && pwd)

nvidia-smi --query-gpu=name,driver_version,clocks.max.sm --format=csv
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
card=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -1 | tr 'A-Z ' 'a-z-')

failed=0
wanted() { [[ ,$stages, == *,$1,* ]] && echo "== $1"; }
# Another torch than the one that the tests were written with may warn of other things: -W default.
# The tests must see the installed package, not the source folder.
run() { (cd "$(mktemp -d)" && timeout "$limit" "$@"); }

install() {
  # Where the build's own needs are there already, pip fetches nothing.
  local isolation=()
  if "$python" -c "import pybind11, scikit_build_core" 2> /dev/null; then isolation=(--no-build-isolation); fi
  "$python" -m pip install --no-deps "${isolation[@]}" -Ccmake.define.FASTRNN_CUDA=ON \
    -Ccmake.define.FASTRNN_CUDA_ARCHITECTURES="$capability-real" "$@" .
}

if wanted build; then
  install
  run "$python" -P -m fastrnn info
fi

if wanted floor; then
  folder=$(mktemp -d)
  nvcc -std=c++17 -O3 -gencode "arch=compute_$capability,code=sm_$capability" -o "$folder/floor" bench/gpu_floor.cu
  timeout 120 "$folder/floor" | tee "$results/gpu-floor-$card.json" || failed=1
fi

if wanted tests; then
  run "$python" -P -m pytest -q -W default -m cuda -c "$root/pyproject.toml" --rootdir "$root" "$root/tests/cuda" || failed=1
fi

if wanted stress; then
  folder=$(mktemp -d)
  install --target "$folder" -Cbuild-dir="$folder/build" -Ccmake.define.FASTRNN_CUDA_JITTER=ON
  PYTHONPATH=$folder run "$python" -P -m pytest -q -W default -m cuda -c "$root/pyproject.toml" --rootdir "$root" \
    "$root/tests/cuda" -k "same_bits or streams or (against_the_cpu_engine and 7])" || failed=1
fi

if wanted benchmark; then
  run "$python" -P "$root/bench/gpu.py" --json "$results/gpu-$card.json" "$@" || failed=1
fi

if wanted sanitizer; then
  if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck synccheck initcheck; do
      run compute-sanitizer --tool "$tool" --error-exitcode 9 "$python" -P -m pytest -q -W default -m cuda -x \
        -c "$root/pyproject.toml" --rootdir "$root" "$root/tests/cuda/test_on_gpu.py" \
        -k "against_the_cpu_engine and 7 and (lstm or gru_reset_before)" || { echo "$tool found something"; failed=1; }
    done
  else
    echo "compute-sanitizer is not installed: left out"
  fi
fi
exit "$failed"
