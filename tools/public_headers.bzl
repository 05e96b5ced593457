"""A test of the headers that other projects include."""

load("@rules_cc//cc:defs.bzl", "cc_library")

# As strict as a project's own flags may be. -Wunused-parameter is named since .bazelrc
# turns it off, which -Wextra leaves as it is.
_STRICT = [
    "-Wall",
    "-Wextra",
    "-Wunused-parameter",
    "-Wpedantic",
    "-Werror",
]

def public_headers_test(name):
    """Tests the headers of every cc_library above it in the BUILD file that is public.

    Each compiles alone, with what these libraries depend on and no more, as C++17 and as
    C++20, without a warning. As C++14 it is one error, which says what is missing. It
    belongs at the end of each BUILD file with a public library; .ci/run checks that.

    Args:
      name: of the test.
    """
    libraries = []
    headers = []
    for rule in native.existing_rules().values():
        if rule["kind"] != "cc_library" or "//visibility:public" not in rule.get("visibility", []):
            continue
        libraries.append(":" + rule["name"])
        headers.extend([header for header in rule["hdrs"] if header not in headers])
    paths = [native.package_name() + "/" + header.lstrip(":") for header in headers]
    sources = [name + "_sources/" + header.lstrip(":") + ".cc" for header in headers]

    native.genrule(
        name = name + "_alone",
        outs = sources,
        cmd = "\n".join([
            "echo '#include \"%s\"' >$(RULEDIR)/%s" % (path, source)
            for path, source in zip(paths, sources)
        ]),
    )
    for standard in ["c++17", "c++20"]:
        cc_library(
            name = name + "_" + standard.replace("+", "p"),
            testonly = True,
            srcs = sources,
            copts = ["-std=" + standard] + _STRICT,
            # Compiled once each, not for a shared library too.
            features = ["-supports_pic"],
            linkstatic = True,
            deps = libraries,
        )

    # A test's data are built where they are files; a library is none.
    native.filegroup(
        name = name + "_compiled",
        testonly = True,
        srcs = [
            ":" + name + "_cpp17",
            ":" + name + "_cpp20",
        ],
    )
    native.sh_test(
        name = name,
        size = "small",
        srcs = [Label("//tools:public_headers_test.sh")],
        args = paths,
        data = headers + [
            ":" + name + "_compiled",
        ] + ([] if "base/language.h" in paths else [Label("//base:language.h")]),
    )
