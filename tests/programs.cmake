# Tests that run the built program or look at the source tree; labels: tidy, sandbox, packaging, clients, crash, attacks,
# faults.
# tests/run-all.sh runs them once, with the optimised build; a sanitizer build leaves them out.

# What tests/run-all.sh builds: every unit test (asan), and those of the folders that have threads (tsan).
get_property(all_targets DIRECTORY PROPERTY BUILDSYSTEM_TARGETS)
set(unit_tests ${all_targets})
list(FILTER unit_tests INCLUDE REGEX "^test_")
list(REMOVE_ITEM unit_tests test_support)
set(threaded_tests ${unit_tests})
list(FILTER threaded_tests INCLUDE REGEX "^test_(base|net|dns|store|auth|queue|delivery|serve)$")
add_custom_target(unit_tests DEPENDS ${unit_tests})
add_custom_target(threaded_tests DEPENDS ${threaded_tests})

if(PIER_SANITIZE)
    return()
endif()
find_program(PYTHON3 NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)

# pier_program_test(name LABEL label SECONDS time-limit COMMAND ...): one test; RESOURCE_LOCK keeps heavy ones apart.
function(pier_program_test name)
    cmake_parse_arguments(arg "" "LABEL;SECONDS;LOCK" "COMMAND" ${ARGN})
    add_test(NAME ${name} COMMAND ${arg_COMMAND})
    set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${arg_SECONDS})
    if(arg_LOCK)
        set_tests_properties(${name} PROPERTIES RESOURCE_LOCK ${arg_LOCK})
    endif()
endfunction()

foreach(check floors headers names words packages format sizes)
    pier_program_test(tidy_${check} LABEL tidy SECONDS 900
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/tidy/tidy.py --source ${CMAKE_SOURCE_DIR} --build ${CMAKE_BINARY_DIR} ${check})
endforeach()
pier_program_test(tidy_itself LABEL tidy SECONDS 60
    COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/tidy/tidy_test.py)

# What tests/faults loads in front of the C library of the running program.
add_library(pier_faults SHARED EXCLUDE_FROM_ALL faults/pier_faults.cc)
target_compile_options(pier_faults PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Werror -U_FORTIFY_SOURCE)

if(TARGET pier)
    # pier_fault_test(part SECONDS time-limit [argument...]): one part of tests/faults/faults.py
    function(pier_fault_test part)
        cmake_parse_arguments(arg "" "SECONDS" "" ${ARGN})
        pier_program_test(faults_${part} LABEL faults SECONDS ${arg_SECONDS}
            COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/faults/faults.py --pier $<TARGET_FILE:pier>
                --shim $<TARGET_FILE:pier_faults> ${arg_UNPARSED_ARGUMENTS} ${part})
    endfunction()
    pier_program_test(faults_itself LABEL faults SECONDS 60
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/faults/shim_test.py --shim $<TARGET_FILE:pier_faults>)
    pier_fault_test(errno SECONDS 300 --sample 100)
    pier_fault_test(start SECONDS 300 --sample 30)
    pier_fault_test(power SECONDS 600 --runs 30)
    pier_fault_test(index SECONDS 300)
    pier_fault_test(space SECONDS 300 --runs 2)
    pier_fault_test(descriptors SECONDS 300)
    pier_fault_test(clock SECONDS 300)
    pier_fault_test(memory SECONDS 300)
    pier_fault_test(flipped SECONDS 300 --runs 3)
    foreach(client curl poplib net_pop3 fetchmail mpop getmail)
        pier_program_test(client_${client} LABEL clients SECONDS 600
            COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/clients.py --pier $<TARGET_FILE:pier> ${client})
    endforeach()
    pier_program_test(client_logins LABEL clients SECONDS 300
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/logins.py --pier $<TARGET_FILE:pier>)
    pier_program_test(client_oauth LABEL clients SECONDS 600
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/oauth.py --pier $<TARGET_FILE:pier>)
    pier_program_test(client_external LABEL clients SECONDS 600
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/external.py --pier $<TARGET_FILE:pier>)
    pier_program_test(client_front_ends LABEL clients SECONDS 300
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/front_ends.py --pier $<TARGET_FILE:pier>)
    pier_program_test(client_behind_dovecot LABEL clients SECONDS 300
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/behind_dovecot.py --pier $<TARGET_FILE:pier>)
    set_tests_properties(client_behind_dovecot PROPERTIES SKIP_RETURN_CODE 77)   # needs root
    foreach(kind passwd_file pam)
        pier_program_test(backends_${kind} LABEL clients SECONDS 600
            COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/backends.py --pier $<TARGET_FILE:pier> ${kind})
        set_tests_properties(backends_${kind} PROPERTIES SKIP_RETURN_CODE 77)   # pam needs root
    endforeach()
    pier_program_test(client_dns_server LABEL clients SECONDS 300
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/dns_server.py --unpacked ${CMAKE_SOURCE_DIR}/build/unpacked)
    pier_program_test(client_tls_files LABEL clients SECONDS 600
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/tls_files.py --pier $<TARGET_FILE:pier>)
    foreach(part http tls_alpn)
        pier_program_test(acme_${part} LABEL clients SECONDS 600
            COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/acme.py --pier $<TARGET_FILE:pier>
                --unpacked ${CMAKE_SOURCE_DIR}/build/unpacked ${part})
    endforeach()
    foreach(sender postfix exim)
        pier_program_test(sender_${sender} LABEL clients SECONDS 600
            COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/senders.py --pier $<TARGET_FILE:pier>
                --unpacked ${CMAKE_SOURCE_DIR}/build/unpacked ${sender})
    endforeach()
    foreach(client smtplib curl swaks msmtp)
        pier_program_test(submission_${client} LABEL clients SECONDS 600
            COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/submission.py --pier $<TARGET_FILE:pier> ${client})
    endforeach()
    foreach(destination postfix exim)
        pier_program_test(destination_${destination} LABEL clients SECONDS 600
            COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/destinations.py --pier $<TARGET_FILE:pier>
                --unpacked ${CMAKE_SOURCE_DIR}/build/unpacked ${destination})
    endforeach()
    pier_program_test(client_routes LABEL clients SECONDS 600
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/routes.py --pier $<TARGET_FILE:pier>
            --unpacked ${CMAKE_SOURCE_DIR}/build/unpacked)
    pier_program_test(client_spam LABEL clients SECONDS 600
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/spam.py --pier $<TARGET_FILE:pier>
            --unpacked ${CMAKE_SOURCE_DIR}/build/unpacked)
    pier_program_test(client_prometheus LABEL clients SECONDS 300
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/prometheus.py --pier $<TARGET_FILE:pier>
            --unpacked ${CMAKE_SOURCE_DIR}/build/unpacked)
    set_tests_properties(client_prometheus PROPERTIES SKIP_RETURN_CODE 77)   # needs the unpacked Prometheus
    foreach(kind sql ldap)
        pier_program_test(backends_${kind} LABEL clients SECONDS 900
            COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/backends_${kind}.py --pier $<TARGET_FILE:pier>
                --unpacked ${CMAKE_SOURCE_DIR}/build/unpacked)
    endforeach()
    foreach(server maildir sdbox mdbox)
        pier_program_test(migrate_dovecot_${server} LABEL clients SECONDS 300
            COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/migrate.py --pier $<TARGET_FILE:pier>
                --unpacked ${CMAKE_SOURCE_DIR}/build/unpacked ${server})
    endforeach()
    pier_program_test(migrate_courier LABEL clients SECONDS 600
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/migrate.py --pier $<TARGET_FILE:pier>
            --unpacked ${CMAKE_SOURCE_DIR}/build/unpacked courier)
    foreach(part pier dovecot certificates courier postfix exim injection canary)
        pier_program_test(probe_${part} LABEL clients SECONDS 900
            COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/probe.py --pier $<TARGET_FILE:pier>
                --unpacked ${CMAKE_SOURCE_DIR}/build/unpacked ${part})
    endforeach()
    foreach(part own outage canary wrong)
        pier_program_test(watched_${part} LABEL clients SECONDS 300
            COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/watched.py --pier $<TARGET_FILE:pier> ${part})
    endforeach()
    pier_program_test(ports LABEL clients SECONDS 300
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/ports.py --pier $<TARGET_FILE:pier>)
    pier_program_test(changes LABEL clients SECONDS 300
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/changes.py --pier $<TARGET_FILE:pier>)
    foreach(part channels vitals promise)
        pier_program_test(alerts_${part} LABEL clients SECONDS 600
            COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/alerts.py --pier $<TARGET_FILE:pier> ${part})
    endforeach()
    foreach(group logins machine mail)
        pier_program_test(doctor_${group} LABEL clients SECONDS 900
            COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/clients/doctor.py --pier $<TARGET_FILE:pier>
                --unpacked ${CMAKE_SOURCE_DIR}/build/unpacked ${group})
    endforeach()
    pier_program_test(crash_kills LABEL crash SECONDS 900
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/crash/crash.py --pier $<TARGET_FILE:pier> --kills 200)
    pier_program_test(crash_queue LABEL crash SECONDS 900
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/crash/queue_kills.py --pier $<TARGET_FILE:pier> --kills 60)
    foreach(part server dropped unit off binary)
        pier_program_test(sandbox_${part} LABEL sandbox SECONDS 300
            COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/sandbox/sandbox.py --source ${CMAKE_SOURCE_DIR}
                --pier $<TARGET_FILE:pier> ${part})
        set_tests_properties(sandbox_${part} PROPERTIES SKIP_RETURN_CODE 77)   # needs root
    endforeach()
    # The rows that take most time run beside the others.
    set(long_attacks many_names,endless_line,time_limits,no_descriptors,idle_connections)
    pier_program_test(attacks LABEL attacks SECONDS 600
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/attacks/attacks.py --pier $<TARGET_FILE:pier> --except ${long_attacks})
    pier_program_test(attacks_long LABEL attacks SECONDS 600
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/attacks/attacks.py --pier $<TARGET_FILE:pier> --only ${long_attacks})
    pier_program_test(attacks_scanners LABEL attacks SECONDS 1200
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/attacks/scanners.py --pier $<TARGET_FILE:pier>)
    pier_program_test(attacks_outside LABEL attacks SECONDS 120
        COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/attacks/outside.py --pier $<TARGET_FILE:pier>)
    set_tests_properties(attacks_outside PROPERTIES SKIP_RETURN_CODE 77)   # needs a network namespace
    foreach(part units activation restart manual fail2ban monitoring deb demo)
        pier_program_test(packaging_${part} LABEL packaging SECONDS 300
            COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/packaging/packaging.py --source ${CMAKE_SOURCE_DIR}
                --pier $<TARGET_FILE:pier> ${part})
    endforeach()
endif()
