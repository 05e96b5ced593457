"""Upstream Bazel label -> pkg-config module(s) of the Debian package.

The labels are those of the Bazel Central Registry modules, so that BUILD files
do not change when the real module replaces the system package.
"""

SYSTEM_REPOSITORIES = {
    "com_google_absl": {
        "modules": {
            "absl/algorithm:container": "absl_algorithm_container",
            "absl/base": "absl_base",
            "absl/base:core_headers": "absl_core_headers",
            "absl/base:endian": "absl_endian",
            "absl/base:log_severity": "absl_log_severity",
            "absl/base:no_destructor": "absl_no_destructor",
            "absl/cleanup": "absl_cleanup",
            "absl/container:btree": "absl_btree",
            "absl/container:fixed_array": "absl_fixed_array",
            "absl/container:flat_hash_map": "absl_flat_hash_map",
            "absl/container:flat_hash_set": "absl_flat_hash_set",
            "absl/container:inlined_vector": "absl_inlined_vector",
            "absl/container:node_hash_map": "absl_node_hash_map",
            "absl/container:node_hash_set": "absl_node_hash_set",
            "absl/debugging:failure_signal_handler": "absl_failure_signal_handler",
            "absl/debugging:symbolize": "absl_symbolize",
            "absl/flags:flag": "absl_flags",
            "absl/flags:parse": "absl_flags_parse",
            "absl/functional:any_invocable": "absl_any_invocable",
            "absl/functional:function_ref": "absl_function_ref",
            "absl/hash": "absl_hash",
            "absl/log": "absl_log",
            "absl/log:check": "absl_check",
            "absl/memory": "absl_memory",
            "absl/numeric:bits": "absl_bits",
            "absl/numeric:int128": "absl_int128",
            "absl/random": "absl_random_random",
            "absl/status": "absl_status",
            "absl/status:statusor": "absl_statusor",
            "absl/strings": "absl_strings",
            "absl/strings:cord": "absl_cord",
            "absl/strings:str_format": "absl_str_format",
            "absl/synchronization": "absl_synchronization",
            "absl/time": "absl_time",
            "absl/types:any": "absl_any",
            "absl/types:optional": "absl_optional",
            "absl/types:span": "absl_span",
            "absl/types:variant": "absl_variant",
            "absl/utility": "absl_utility",
        },
    },
    "com_google_googletest": {
        # As upstream, gtest includes gMock, and gtest_main is gMock's main().
        "modules": {
            ":gtest": "gmock gtest",
            ":gtest_main": "gmock_main gmock gtest",
        },
    },
    "com_github_gflags_gflags": {
        "modules": {":gflags": "gflags"},
    },
    "com_github_google_glog": {
        "modules": {":glog": "libglog gflags"},
    },
    "com_github_google_benchmark": {
        "modules": {":benchmark": "benchmark", ":benchmark_main": "benchmark"},
        # No benchmark_main.pc in Debian.
        "extra_linkopts": {":benchmark_main": ["-lbenchmark_main"]},
    },
    "com_google_protobuf": {
        "modules": {":protobuf": "protobuf", ":protobuf_lite": "protobuf-lite"},
        "overlay": "protobuf",
    },
    # Headers only: nothing to link.
    "boost.asio": {
        "modules": {":boost.asio": ""},
    },
    "boost.beast": {
        "modules": {":boost.beast": ""},
    },
    "boost.json": {
        "modules": {":boost.json": ""},
    },
    "openssl": {
        "modules": {":crypto": "libcrypto", ":ssl": "libssl libcrypto"},
    },
    "xxhash": {
        "modules": {":xxhash": "libxxhash"},
    },
    "zlib": {
        "modules": {":zlib": "zlib"},
    },
    "zstd": {
        "modules": {":zstd": "libzstd"},
    },
    "lz4": {
        "modules": {":lz4": "liblz4"},
    },
    "libedit": {
        "modules": {":libedit": "libedit"},
    },
    # Lua that was compiled as C++, and modules for it; their .pc files name the C variant beside it.
    "lua": {
        "modules": {":lua": ""},
        "extra_linkopts": {":lua": [
            "-l:liblua5.1-cjson.a",
            "-l:liblua5.1-bitop.a",
            "-l:liblua5.1-c++.a",
            "-lm",
        ]},
    },
    # Peers, for benchmarks only: their targets are tagged "manual".
    "lmdb": {
        "modules": {":lmdb": "lmdb"},
    },
    "tinycdb": {
        "modules": {":cdb": "libcdb"},
    },
    "rocksdb": {
        "modules": {":rocksdb": "rocksdb"},
    },
    # Without a .pc in Debian.
    "leveldb": {
        "modules": {":leveldb": ""},
        "extra_linkopts": {":leveldb": ["-lleveldb"]},
    },
}
