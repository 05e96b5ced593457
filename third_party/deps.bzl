"""All external repositories of this tree, taken from Debian packages and in-tree shims.

A sibling workspace calls kvarts_deps() after local_repository(name = "kvarts", ...).
"""

load("//third_party:npm_files.bzl", "swagger_ui_repository")
load("//third_party:system_repo.bzl", "shim_repository", "system_repository")
load("//third_party:system_table.bzl", "SYSTEM_REPOSITORIES")

def _once(rule, name, **kwargs):
    if not native.existing_rule(name):
        rule(name = name, **kwargs)

def kvarts_shims():
    """Bazel's own implicit repositories, which Bazel would otherwise download."""
    for name in ["rules_cc", "rules_java", "rules_proto", "remote_coverage_tools"]:
        _once(shim_repository, name, anchor = Label("//third_party/shims/%s:WORKSPACE" % name))

def kvarts_deps():
    kvarts_shims()
    for name, kwargs in SYSTEM_REPOSITORIES.items():
        _once(system_repository, name, **kwargs)
    _once(swagger_ui_repository, "swagger_ui")
