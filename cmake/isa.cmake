# Instruction sets. fastrnn_add_isa(name flags...) builds the kernels once more with those flags: csrc/cpu/kernels.cpp
# for each number type, csrc/word2vec/kernels.cpp for float. Their files see nothing of each other's, so no linker can mix
# their code. After every build check_isa_symbols.cmake makes sure of that.

set(FASTRNN_ALL_ISAS avx512 avx2 neon generic avx512_bf16)

function(fastrnn_add_isa name)
  fastrnn_add_kernels(fastrnn_core ${name} f32 csrc/cpu/kernels.cpp "${ARGN}" FASTRNN_SCALAR=float
                      FASTRNN_TABLE=kernels_f32)
  fastrnn_add_kernels(fastrnn_core ${name} f64 csrc/cpu/kernels.cpp "${ARGN}" FASTRNN_SCALAR=double
                      FASTRNN_TABLE=kernels_f64)
  fastrnn_add_kernels(fastrnn_word2vec ${name} f32 csrc/word2vec/kernels.cpp "${ARGN}")
  set(FASTRNN_BUILT_ISAS ${FASTRNN_BUILT_ISAS} ${name} PARENT_SCOPE)
endfunction()

# An instruction set that another one may have beside it: products of bfloat16 numbers.
function(fastrnn_add_bf16 name)
  fastrnn_add_kernels(fastrnn_core ${name} bf16 csrc/cpu/kernels_bf16.cpp "${ARGN}")
  set(FASTRNN_BUILT_ISAS ${FASTRNN_BUILT_ISAS} ${name} PARENT_SCOPE)
endfunction()

# fastrnn_add_kernels(target isa suffix source flags definitions...)
function(fastrnn_add_kernels target name suffix source flags)
  set(part ${target}_${name}_${suffix})
  add_library(${part} OBJECT ${PROJECT_SOURCE_DIR}/${source})
  target_link_libraries(${part} PRIVATE fastrnn_options)
  target_compile_definitions(${part} PRIVATE FASTRNN_ISA=${name} FASTRNN_ISA_HEADER="cpu/vec_${name}.h" ${ARGN})
  target_compile_options(${part} PRIVATE ${flags})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # False alarms from GCC's own _mm512_max_ps (gcc.gnu.org/PR105593).
    target_compile_options(${part} PRIVATE -Wno-maybe-uninitialized -Wno-uninitialized)
  endif()
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${part}>)
  if(CMAKE_NM AND NOT APPLE) # needs the ELF object format
    add_custom_command(TARGET ${target} POST_BUILD VERBATIM
                       COMMAND ${CMAKE_COMMAND} -DNM=${CMAKE_NM} -DISA=${name} -DOBJECT=$<TARGET_OBJECTS:${part}> -P
                               ${PROJECT_SOURCE_DIR}/cmake/check_isa_symbols.cmake)
  endif()
endfunction()

# A file of the target learns which names are in the build.
function(fastrnn_declare_isas target)
  foreach(name IN LISTS FASTRNN_ALL_ISAS)
    if(name IN_LIST FASTRNN_BUILT_ISAS)
      target_compile_definitions(${target} PRIVATE FASTRNN_BUILT_${name}=true)
    else()
      target_compile_definitions(${target} PRIVATE FASTRNN_BUILT_${name}=false)
    endif()
  endforeach()
endfunction()
