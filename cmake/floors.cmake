# pier_floor(name [USES floor...] [LIBS target...]): the static library of src/<name>, linked to the floors it may use.
# A floor that holds only headers becomes an interface library, so it can be named before its first .cc file exists.
function(pier_floor name)
    cmake_parse_arguments(arg "" "" "USES;LIBS" ${ARGN})
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
    list(TRANSFORM arg_USES PREPEND pier_)
    if(sources)
        add_library(pier_${name} STATIC ${sources})
        target_link_libraries(pier_${name} PUBLIC pier_options ${arg_USES} ${arg_LIBS})
    else()
        add_library(pier_${name} INTERFACE)
        target_link_libraries(pier_${name} INTERFACE pier_options ${arg_USES} ${arg_LIBS})
    endif()
endfunction()
