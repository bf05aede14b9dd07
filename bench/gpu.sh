#!/usr/bin/env bash
# Everything that needs a GPU, in one go: builds the CUDA engine, tests it, runs compute-sanitizer over some of the
# tests, and times it beside torch (cuDNN). Results: bench/results/gpu.json and a table on the terminal. Options go to
# bench/gpu.py (--quick takes few shapes). Needs nvcc, a GPU, and a Python with torch for it:
#   PYTHON=/path/to/python bench/gpu.sh --quick
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}

nvidia-smi --query-gpu=name,driver_version,clocks.max.sm --format=csv
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
echo "== building for sm_$capability"
"$python" -m pip install --no-deps -Ccmake.define.FASTRNN_CUDA=ON \
  -Ccmake.define.FASTRNN_CUDA_ARCHITECTURES="$capability-real" .
"$python" -m fastrnn info

# The tests must see the installed package, not the source folder.
run() { (cd "$(mktemp -d)" && "$@"); }
root=$PWD
failed=0
echo "== tests on the GPU"
run "$python" -P -m pytest -q -m cuda -c "$root/pyproject.toml" --rootdir "$root" "$root/tests/cuda" || failed=1

echo "== compute-sanitizer"
if command -v compute-sanitizer > /dev/null; then
  for tool in memcheck racecheck synccheck initcheck; do
    run compute-sanitizer --tool "$tool" --error-exitcode 9 "$python" -P -m pytest -q -m cuda -x \
      -c "$root/pyproject.toml" --rootdir "$root" "$root/tests/cuda/test_on_gpu.py" \
      -k "against_the_cpu_engine and 7 and (lstm or gru_reset_before)" || { echo "$tool found something"; failed=1; }
  done
else
  echo "compute-sanitizer is not installed: left out"
fi

echo "== benchmark"
run "$python" -P "$root/bench/gpu.py" --json "$root/bench/results/gpu.json" "$@"
exit "$failed"
