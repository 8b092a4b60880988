# What every target of the project is compiled with: warnings are errors, and the hardening of docs/decisions/0015-the-sandbox.md.
include(CheckCXXCompilerFlag)
include(CheckPIESupported)
add_library(pier_options INTERFACE)
target_include_directories(pier_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(pier_options INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror
    -fstack-protector-strong)
if(NOT PIER_SANITIZE)
    # 3 is 2 for a compiler that does not have it. Without optimisation there is none.
    target_compile_options(pier_options INTERFACE $<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3>)
    # An index out of range ends the process in place of reading what lies behind.
    target_compile_definitions(pier_options INTERFACE _GLIBCXX_ASSERTIONS)
    # Indirect branches and returns only to where the program means to go (x86, ARM); a stack that cannot leap over its guard page.
    # Clang takes those of another processor, and then warns of them.
    set(CMAKE_REQUIRED_FLAGS -Werror)
    foreach(flag -fcf-protection=full -mbranch-protection=standard -fstack-clash-protection)
        string(MAKE_C_IDENTIFIER "PIER_HAS${flag}" has)
        check_cxx_compiler_flag(${flag} ${has})
        if(${has})
            target_compile_options(pier_options INTERFACE ${flag})
        endif()
    endforeach()
    unset(CMAKE_REQUIRED_FLAGS)
else()
    target_compile_options(pier_options INTERFACE -fsanitize=${PIER_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(pier_options INTERFACE -fsanitize=${PIER_SANITIZE})
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 warns wrongly about inlined std::string and std::optional at -O2 (GCC bugs 105329, 105562).
    target_compile_options(pier_options INTERFACE -Wno-restrict -Wno-maybe-uninitialized)
    # Asio's fences are not understood by the thread sanitizer; beside them it locks, which is.
    if(PIER_SANITIZE MATCHES thread)
        target_compile_options(pier_options INTERFACE -Wno-tsan)
    endif()
endif()
# A program that lies elsewhere at each start, whose tables of addresses are read-only from then on.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
check_pie_supported(LANGUAGES CXX)
add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
