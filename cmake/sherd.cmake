# Build rules of sherd: warning set, hardening, sanitizers, and the functions that declare targets.
# There are no global flags; every target of ours links sherd_flags PRIVATE.

include(CheckCCompilerFlag)
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

option(SHERD_TESTS "build the tests" ON)
option(SHERD_WERROR "warnings are errors" OFF)
option(SHERD_FUZZ "build the libFuzzer targets (needs clang)" OFF)
option(SHERD_COVERAGE "instrument for gcov" OFF)
set(SHERD_SANITIZE "" CACHE STRING "address | thread | empty")

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON) # _GNU_SOURCE interfaces of glibc
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(sherd_flags INTERFACE)
target_compile_definitions(sherd_flags INTERFACE _GNU_SOURCE)
target_compile_options(sherd_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes
  -Wmissing-prototypes -Wvla -Wformat=2 -Wimplicit-fallthrough -Wundef -Wpointer-arith
  -Wcast-align -Wwrite-strings -fno-omit-frame-pointer -fno-strict-aliasing)
if(SHERD_WERROR)
  target_compile_options(sherd_flags INTERFACE -Werror)
endif()
if(SHERD_SANITIZE STREQUAL "address")
  target_compile_options(sherd_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined)
  target_link_options(sherd_flags INTERFACE -fsanitize=address,undefined)
  target_compile_definitions(sherd_flags INTERFACE SHERD_ASAN=1)
elseif(SHERD_SANITIZE STREQUAL "thread")
  # With -fsanitize=thread gcc sees variables as unset that the address build proves set.
  target_compile_options(sherd_flags INTERFACE -fsanitize=thread -Wno-maybe-uninitialized)
  target_link_options(sherd_flags INTERFACE -fsanitize=thread)
  target_compile_definitions(sherd_flags INTERFACE SHERD_TSAN=1)
else()
  target_compile_options(sherd_flags INTERFACE
    -fstack-protector-strong -fstack-clash-protection -fcf-protection
    $<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
  target_link_options(sherd_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
endif()
if(SHERD_COVERAGE)
  target_compile_options(sherd_flags INTERFACE --coverage)
  target_link_options(sherd_flags INTERFACE --coverage)
endif()
if(SHERD_FUZZ)
  target_compile_options(sherd_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
# Debug and simulation builds walk structures (ASSERT_SLOW).
target_compile_definitions(sherd_flags INTERFACE $<$<CONFIG:Debug>:SHERD_SLOW_ASSERTS=1>)

# sherd_library(NAME SOURCES a.c ... LINK sherd_base ... PRIVATE_LINK PkgConfig::X ...)
# LINK is what the headers need too; PRIVATE_LINK stays behind the wrapper.
function(sherd_library name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(sherd_${name} STATIC ${A_SOURCES})
  add_library(sherd::${name} ALIAS sherd_${name})
  target_include_directories(sherd_${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/include
                             PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(sherd_${name} PUBLIC ${A_LINK} PRIVATE sherd_flags ${A_PRIVATE_LINK})
endfunction()

# sherd_executable(NAME SOURCES ... LINK ...)
function(sherd_executable name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE sherd_flags ${A_LINK})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_options(${name} PRIVATE -pie)
endfunction()

# sherd_test(NAME SOURCES ... LINK ... [LABELS unit] [TIMEOUT 60]): a cmocka program, one ctest entry.
function(sherd_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;LINK;LABELS;PRIVATE_INCLUDE" ${ARGN})
  if(NOT SHERD_TESTS)
    return()
  endif()
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE sherd_flags ${A_LINK} PkgConfig::CMOCKA)
  target_include_directories(${name} PRIVATE ${A_PRIVATE_INCLUDE})
  add_test(NAME ${name} COMMAND ${name})
  if(NOT A_LABELS)
    set(A_LABELS unit)
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 60)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${A_LABELS}" TIMEOUT ${A_TIMEOUT})
endfunction()

pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(PROTOBUFC REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(GRPC REQUIRED IMPORTED_TARGET grpc)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(GMP REQUIRED IMPORTED_TARGET gmp)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(EDIT REQUIRED IMPORTED_TARGET libedit)
if(SHERD_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()
# The hardening rules of replication/ are verified against exactly this version.
pkg_check_modules(RAFT REQUIRED IMPORTED_TARGET raft=0.15.0)

# These ship no .pc file in Debian 12.
function(sherd_plain_library target header lib)
  find_path(${target}_INCLUDE ${header} REQUIRED)
  find_library(${target}_LIB ${lib} REQUIRED)
  add_library(sherd_ext_${target} INTERFACE)
  target_include_directories(sherd_ext_${target} SYSTEM INTERFACE ${${target}_INCLUDE})
  target_link_libraries(sherd_ext_${target} INTERFACE ${${target}_LIB})
endfunction()
sherd_plain_library(leveldb leveldb/c.h leveldb)
sherd_plain_library(pgquery pg_query.h pg_query)
sherd_plain_library(fcontext boost/context/detail/fcontext.hpp boost_context)
