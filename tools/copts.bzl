"""The flags each kvarts target carries itself, because a sibling project's own flags rule its build."""

KVARTS_COPTS = ["-std=c++20"]
