# stage.cmake - what a Debian package has beside what is installed.  CPack runs it when each
# component lies in a folder of its name.

set(root ${CMAKE_CURRENT_LIST_DIR}/../..)
file(READ ${root}/LICENSE license)
string(REGEX MATCH "Copyright [(]c[)] ([^\n]*)\n+(.*[^\n])" license "${license}")
set(holder "${CMAKE_MATCH_1}")
string(REPLACE "\n\n" "\n.\n" license "${CMAKE_MATCH_2}")
string(REPLACE "\n" "\n " license "${license}")

file(GLOB packages ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/*)
foreach(package ${packages})
    cmake_path(GET package FILENAME name)
    set(doc ${package}/usr/share/doc/${name})
    file(WRITE ${doc}/copyright
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        "Upstream-Name: lsmfs\n\nFiles: *\nCopyright: ${holder}\nLicense: Expat\n ${license}\n")
    file(COPY ${CMAKE_CURRENT_LIST_DIR}/changelog DESTINATION ${doc})
    file(GLOB pages ${package}/usr/share/man/man*/*)
    execute_process(COMMAND gzip -9n ${doc}/changelog ${pages} COMMAND_ERROR_IS_FATAL ANY)
    # Where Debian's zsh looks for what packages bring.
    set(zsh ${package}/usr/share/zsh)
    if(EXISTS ${zsh})
        file(RENAME ${zsh}/site-functions ${zsh}/vendor-completions)
    endif()
    # CPack strips programs and shared libraries alone.
    file(GLOB_RECURSE archives ${package}/usr/lib/*.a)
    if(archives)
        execute_process(COMMAND strip --strip-debug --enable-deterministic-archives ${archives}
            COMMAND_ERROR_IS_FATAL ANY)
    endif()
endforeach()
