"""Files as a part of a program."""

def kvarts_embed(name, function, srcs, packed_only = False):
    """Makes NAME.cc, which defines FUNCTION() of net/http/asset.h over the files.

    Args:
      name: of the source, without ".cc".
      function: in namespace kvarts.
      srcs: files, or targets that give some, or none.
      packed_only: leave out the plain form, of large files.
    """
    native.genrule(
        name = name,
        srcs = srcs,
        outs = [name + ".cc"],
        cmd = "python3 $(location //tools:embed.py) --function=%s %s $(SRCS) > $@" % (
            function,
            "--packed_only" if packed_only else "",
        ),
        tools = ["//tools:embed.py"],
    )
