# What every target of the project is compiled with: warnings are errors, and the hardening that costs nothing.
add_library(pier_options INTERFACE)
target_include_directories(pier_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(pier_options INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror
    -fstack-protector-strong)
if(NOT PIER_SANITIZE)
    target_compile_options(pier_options INTERFACE $<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
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
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_link_options(-Wl,-z,relro,-z,now)
