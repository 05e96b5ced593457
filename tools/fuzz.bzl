"""Fuzz targets: one function, two programs."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_test")
load("//tools:copts.bzl", "KVARTS_COPTS")

def kvarts_fuzz_test(name, srcs, corpus, deps = [], size = "small", **kwargs):
    """Makes two programs from one LLVMFuzzerTestOneInput().

    NAME is the libFuzzer binary, tagged "manual", since it needs clang:
      ./bazelw run --config=fuzz //storage/bisect:NAME -- $PWD/storage/bisect/corpus
    NAME_replay is a plain test, for any compiler, that gives the function the
    empty input and then each kept file of the corpus. A finding becomes a file
    there.

    Args:
      name: of the libFuzzer binary.
      srcs: the file that defines extern "C" LLVMFuzzerTestOneInput().
      corpus: files in folders of their own below the package, as glob(["corpus/**"]).
      deps: of srcs.
      size: of the replay.
      **kwargs: for both.
    """
    folders = {}
    for path in corpus:
        folder = path.rpartition("/")[0]
        if not folder:
            fail("%s: corpus files belong into a folder of their own, not %s" % (name, path))
        folders[native.package_name() + "/" + folder] = None
    if not folders:
        fail("%s: the corpus is empty" % name)

    cc_binary(
        name = name,
        testonly = True,
        srcs = srcs,
        copts = KVARTS_COPTS,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = deps,
        **kwargs
    )
    cc_test(
        name = name + "_replay",
        size = size,
        srcs = srcs,
        args = sorted(folders.keys()),
        copts = KVARTS_COPTS,
        data = corpus,
        deps = deps + [Label("//tools:fuzz_replay")],
        **kwargs
    )
