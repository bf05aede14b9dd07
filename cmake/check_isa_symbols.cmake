# cmake -DNM=... -DISA=... -DOBJECT=... -P check_isa_symbols.cmake
#
# Fails if an object file of one instruction set defines a function or a variable that the linker could hand to other
# code: it keeps one of several weak definitions of the same name, and if that one holds AVX-512 the program dies on a
# machine without. So each name that others can see must contain fastrnn::<isa>::. Constants are harmless.

execute_process(COMMAND ${NM} --demangle --defined-only --format=sysv ${OBJECT}
                OUTPUT_VARIABLE listing RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${NM} cannot read ${OBJECT}")
endif()
# Characters that a CMake list would trip over.
string(REGEX REPLACE "[][;\\\\]" "_" listing "${listing}")
string(REPLACE "\n" ";" listing "${listing}")

set(table_found FALSE)
set(leaks "")
foreach(line IN LISTS listing)
  # name | value | class | type | size | line | section; a name may hold a | itself
  if(NOT line MATCHES "^(.*[^ ]) *\\|[0-9a-f ]*\\| *([A-Za-z?]) *\\| *([A-Z_]*) *\\|[0-9a-f ]*\\|[^|]*\\|([^|]*)$")
    continue()
  endif()
  set(name "${CMAKE_MATCH_1}")
  set(class "${CMAKE_MATCH_2}")
  set(type "${CMAKE_MATCH_3}")
  set(section "${CMAKE_MATCH_4}")
  if(name MATCHES "^fastrnn::${ISA}::(kernels_f32|kernels_f64|kernels_bf16|word2vec_kernels)$")
    set(table_found TRUE)
  endif()
  # Lower-case classes are local, but for u (unique) and i (chosen at load time). The compiler's own helpers: pointers
  # to the exception handler and, in sanitized builds, marks of variables.
  if(class MATCHES "^[a-hj-tv-z?]$" OR name MATCHES "fastrnn::${ISA}::" OR name MATCHES "^(DW\\.ref|__odr_asan)\\.")
    continue()
  endif()
  if(type STREQUAL "FUNC" OR type STREQUAL "IFUNC" OR NOT section MATCHES "^\\.(rodata|data\\.rel\\.ro)")
    string(APPEND leaks "\n  ${name}")
  endif()
endforeach()

if(NOT table_found)
  message(FATAL_ERROR "${OBJECT} shows no fastrnn::${ISA}::*kernels*: this check cannot see its symbols")
endif()
if(leaks)
  message(FATAL_ERROR "${OBJECT} defines names that do not belong to fastrnn::${ISA}:${leaks}")
endif()
