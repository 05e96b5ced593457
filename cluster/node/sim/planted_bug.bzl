"""Bugs that are planted into a node, and that the simulation must find."""

load("@rules_cc//cc:defs.bzl", "cc_test")
load("//tools:copts.bzl", "KVARTS_COPTS")

def planted_bug(name, source, deps = []):
    """A test that is red where the simulation does not find planted/NAME.patch.

    The patched source is one of the test's own, and defines what the library's object does: as that
    has no other name that is asked for, the linker leaves it in its archive. The product knows
    nothing of it.

    Args:
      name: of the patch, which is made at the root of the tree.
      source: the label of the file that it changes.
      deps: what that file includes and //cluster/node does not bring.
    """
    planted = "planted/{}/{}".format(name, source.split(":")[-1].split("/")[-1])
    patch = "planted/{}.patch".format(name)

    # Needs patch(1), which the build has no other use for.
    native.genrule(
        name = name + "_source",
        testonly = True,
        tags = ["manual"],
        srcs = [
            patch,
            source,
        ],
        outs = [planted],
        cmd = "patch --quiet --fuzz=0 --read-only=ignore --follow-symlinks -o $@ $(location {}) $(location {})".format(source, patch),
    )
    cc_test(
        name = name + "_is_found_test",
        size = "enormous",
        srcs = [
            "planted_bug_test.cc",
            planted,
        ],
        copts = KVARTS_COPTS,
        tags = ["manual"],
        deps = [
            ":sim_run",
            "@com_google_absl//absl/strings",
            "@com_google_googletest//:gtest_main",
        ] + deps,
    )
