# The CUDA engine: fastrnn_cuda, with kernels where a CUDA toolkit is found, and else with the same symbols and a clear
# error. The runtime is linked statically and takes the driver when it is first used, so that the module loads on
# machines without one.

set(FASTRNN_CUDA AUTO CACHE STRING "Build the CUDA engine: AUTO (where nvcc is found), ON or OFF")
set_property(CACHE FASTRNN_CUDA PROPERTY STRINGS AUTO ON OFF)
# Code for the architectures named here, and PTX, which drivers compile for newer ones.
set(FASTRNN_CUDA_ARCHITECTURES "80-real;90-real;100-real;90-virtual" CACHE STRING "As CMAKE_CUDA_ARCHITECTURES")

# For tests on a GPU, see dawdle() in csrc/cuda/ops_cuda.h.
option(FASTRNN_CUDA_JITTER "Let blocks dawdle before they exchange" OFF)

if(NOT FASTRNN_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "FASTRNN_CUDA must be AUTO, ON or OFF, not ${FASTRNN_CUDA}")
endif()
set(fastrnn_cuda_found FALSE)
if(FASTRNN_CUDA STREQUAL "ON" OR (FASTRNN_CUDA STREQUAL "AUTO" AND NOT CMAKE_CROSSCOMPILING))
  set(CMAKE_CUDA_ARCHITECTURES ${FASTRNN_CUDA_ARCHITECTURES})
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    find_package(CUDAToolkit QUIET)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.0)
      set(fastrnn_cuda_problem "CUDA ${CMAKE_CUDA_COMPILER_VERSION} is older than 12.0")
    elseif(NOT TARGET CUDA::cudart_static)
      set(fastrnn_cuda_problem "the toolkit of ${CMAKE_CUDA_COMPILER} has no static runtime")
    else()
      set(fastrnn_cuda_found TRUE)
    endif()
  else()
    set(fastrnn_cuda_problem "no CUDA compiler was found")
  endif()
  if(NOT fastrnn_cuda_found)
    if(FASTRNN_CUDA STREQUAL "ON")
      message(FATAL_ERROR "FASTRNN_CUDA is ON, but ${fastrnn_cuda_problem}")
    endif()
    message(STATUS "Without the CUDA engine: ${fastrnn_cuda_problem}")
  endif()
endif()

# Sources are relative to csrc/cuda. Products and sums are never contracted, as on the CPU (see the options there), so
# that kernels give the bits of their emulation.
function(fastrnn_add_cuda)
  if(NOT fastrnn_cuda_found)
    add_library(fastrnn_cuda STATIC csrc/cuda/no_cuda.cpp)
    target_link_libraries(fastrnn_cuda PRIVATE fastrnn_options)
    return()
  endif()
  list(TRANSFORM ARGN PREPEND csrc/cuda/)
  add_library(fastrnn_cuda STATIC ${ARGN})
  string(REPLACE ";" "," names "${FASTRNN_CUDA_ARCHITECTURES}")
  target_compile_definitions(fastrnn_cuda PRIVATE FASTRNN_CUDA_ARCHITECTURES="${names}")
  if(FASTRNN_CUDA_JITTER)
    target_compile_definitions(fastrnn_cuda PRIVATE FASTRNN_CUDA_JITTER)
  endif()
  target_include_directories(fastrnn_cuda PRIVATE csrc)
  set_target_properties(
    fastrnn_cuda PROPERTIES CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON CUDA_VISIBILITY_PRESET hidden
                            CUDA_ARCHITECTURES "${FASTRNN_CUDA_ARCHITECTURES}")
  target_compile_options(fastrnn_cuda PRIVATE -fmad=false -Xcompiler=-Wall)
  target_link_libraries(fastrnn_cuda PUBLIC CUDA::cudart_static INTERFACE fastrnn_core)
endfunction()
