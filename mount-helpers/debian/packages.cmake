# packages.cmake - Debian packages by CPack: lsmfs, lsmkv-tools, liblsmkv0.1, liblsmkv-dev.
#
# The COMPONENT of each install() says what is in which.  What Debian wants beside that (the
# copyright, the changelog, compressed pages) is added by stage.cmake.  Debian's folders take the
# prefix /usr when this is configured, as in the preset `deb`.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lsmfs)
set(CPACK_PACKAGE_VENDOR "the lsmfs authors")
set(CPACK_PACKAGE_CONTACT "the lsmfs authors <lsmfs@localhost.localdomain>" CACHE STRING
    "maintainer of the packages")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # or it would begin each package's
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_COMPONENTS_ALL "")
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/stage.cmake)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SOURCE lsmfs)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# lsmkv_package(NAME SECTION DESCRIPTION [DEPENDENCY...]): beside those on shared libraries.
macro(lsmkv_package name section description)
    string(TOUPPER ${name} package)
    list(APPEND CPACK_COMPONENTS_ALL ${name})
    set(CPACK_DEBIAN_${package}_PACKAGE_NAME ${name})
    set(CPACK_DEBIAN_${package}_PACKAGE_SECTION ${section})
    set(CPACK_DEBIAN_${package}_DESCRIPTION "${description}")
    string(JOIN ", " CPACK_DEBIAN_${package}_PACKAGE_DEPENDS ${ARGN})
endmacro()

lsmkv_package(lsmfs utils
"FUSE file system on a log-structured merge-tree
Mounts a directory that holds a log-structured key-value store: each key is a
file path, each value the file's contents.  With snapshots of the whole that
take no time, backups from them, a checker and a repairer, helpers for mount
and fstab, and systemd units."
    fuse3)
set(CPACK_DEBIAN_LSMFS_PACKAGE_CONTROL_EXTRA
    ${CMAKE_CURRENT_LIST_DIR}/postinst ${CMAKE_CURRENT_LIST_DIR}/postrm)

lsmkv_package(lsmkv-tools utils
"tools to look into lsmkv stores and to measure them
lsm-dump shows what the tables of a store hold, lsm-wal-dump its write-ahead
log, and lsm-bench measures the engine on this machine.")

set(shared liblsmkv${lsmkv_soversion})
lsmkv_package(${shared} libs
"embedded ordered key-value store - shared library
lsmkv is a log-structured merge-tree: a durable map from keys to values and
attributes, with atomic batches, iterators in both directions, snapshots, and
moves of whole trees of keys that are paths.")
set(CPACK_DEBIAN_${package}_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/triggers)

# pkg-config looks at what the static library needs where the shared one is linked, too.
lsmkv_package(liblsmkv-dev libdevel
"embedded ordered key-value store - development files
The header, the static library, files for pkg-config and CMake, the manual
page and examples of lsmkv, a log-structured merge-tree."
    "${shared} (= ${PROJECT_VERSION})" libisal-dev libxxhash-dev libjansson-dev
    liblz4-dev)

include(CPack)
