#!/usr/bin/env python3
"""Checks what the documents of the tree refer to.

usage: tools/check_docs.py

Of every *.md that git knows: relative links and their anchors, labels (//package:target),
paths of the tree, and the flags of the tree's own programs. Prints a line for each that is not
there, and ends with 1 if there is one.
"""

import glob
import os
import re
import subprocess
import sys

LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)(?:\s+"[^"]*")?\)')
LABEL = re.compile(r'(?<![:\w/.])//([a-z][\w/.+-]*)(:[\w./+-]+)?')
FLAG = re.compile(r'(?<![\w-])--(no)?([a-z][a-z0-9_]*)(?![\w-])')
PROGRAM = re.compile(r'(?<![\w/.-])(?:apps:|apps/)?(kv_[a-z]+|group_by)(?![\w/.-])')
# Files that are made, or are of somebody else's: each is named in a document on purpose.
MADE = re.compile(r'^(bazel-bin|\.cache|third_party/[a-z0-9_]+/)')


def git_files(*patterns):
    return subprocess.run(['git', 'ls-files', *patterns], check=True, capture_output=True,
                          text=True).stdout.split('\n')[:-1]


def anchor_of(heading):
    """The anchor of a heading, as code hosts make it."""
    text = re.sub(r'[`*]|\[([^\]]*)\]\([^)]*\)', r'\1', heading).strip().lower()
    return re.sub(r'[^\w\- ]', '', text).replace(' ', '-')


class Tree:
    """What there is."""

    def __init__(self):
        self.files = set(git_files())
        self.folders = {os.path.dirname(f) for f in self.files}
        for folder in list(self.folders):
            while folder:
                self.folders.add(folder)
                folder = os.path.dirname(folder)
        self.names = {os.path.basename(f) for f in self.files}
        self.tops = {f.split('/')[0] for f in self.files if '/' in f}
        self.targets = {}
        for build in git_files('*BUILD'):
            with open(build, encoding='utf-8') as file:
                names = set(re.findall(r'name = "([^"]+)"', file.read()))
            self.targets[os.path.dirname(build)] = names
        self.flags = {}  # of each program, and of scripts together under ''
        for source in git_files('*.cc', '*.h', '*.py', '*.sh'):
            with open(source, encoding='utf-8') as file:
                text = file.read()
            found = set(re.findall(r'DEFINE_\w+\(\s*(\w+),', text))
            found |= set(re.findall(r"""add_argument\(\s*['"]--(\w+)""", text))
            found |= set(re.findall(r'--([a-z_]+)\b', text)) if source.endswith('.sh') else set()
            name = os.path.splitext(os.path.basename(source))[0]
            self.flags.setdefault(name if source.startswith('apps/') else '', set()).update(found)
        self.all_flags = set().union(*self.flags.values())

    def exists(self, path):
        path = os.path.normpath(path)
        return path in self.files or path in self.folders or path == '.' or bool(
            '*' in path and glob.glob(path, recursive=True))

    def anchors(self, path):
        with open(path, encoding='utf-8') as file:
            text = file.read()
        found = set(re.findall(r'<a name="([^"]+)"', text))
        for heading in re.findall(r'^#+ (.*)$', re.sub(r'```.*?```', '', text, flags=re.S), re.M):
            anchor = anchor_of(heading)
            number = 0
            while (anchor if number == 0 else f'{anchor}-{number}') in found:
                number += 1
            found.add(anchor if number == 0 else f'{anchor}-{number}')
        return found

    def has_label(self, package, target):
        if package.endswith('...'):
            return package == '...' or self.exists(package[:-4])
        if package not in self.targets:
            return False
        name = target[1:] if target else os.path.basename(package)
        # Macros make targets with names of their own.
        return (name in ('all', '*') or any(name.startswith(made) for made in self.targets[package])
                or f'{package}/{name}' in self.files)


def check(path, tree):
    """Yields (line, what is wrong)."""
    folder = os.path.dirname(path)
    fenced = False
    with open(path, encoding='utf-8') as file:
        lines = file.read().split('\n')
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith('```'):
            fenced = not fenced
            continue
        code = line.startswith('    ') and not line.lstrip().startswith(('-', '*')) or fenced
        if not code:
            for link in LINK.findall(re.sub(r'`[^`]*`', '', line)):
                if re.match(r'[a-z]+:', link):
                    continue
                target, _, anchor = link.partition('#')
                where = os.path.normpath(os.path.join(folder, target)) if target else path
                if not tree.exists(where):
                    yield number, f'a link to {link}: there is no {where}'
                elif anchor and where.endswith('.md') and anchor not in tree.anchors(where):
                    yield number, f'a link to {link}: {where} has no such heading'
        for package, target in LABEL.findall(line if code else ' '.join(
                re.findall(r'`([^`]*)`', line))):
            package = package.rstrip('/.') if not package.endswith('...') else package
            if not tree.has_label(package, target):
                yield number, f'the label //{package}{target}'
        for span in [line] if code else re.findall(r'`([^`]+)`', line):
            if not code:
                yield from ((number, what) for what in check_path(span, folder, tree))
            yield from ((number, what) for what in check_flags(span, code, tree))


def check_path(span, folder, tree):
    """A span that is one path of the tree, from its root or from the document's folder."""
    if not re.fullmatch(r'[\w.*-]+(/[\w.*-]+)*/?', span) or MADE.match(span):
        return
    if '/' in span and span.split('/')[0] in tree.tops:
        if not tree.exists(span) and not tree.exists(os.path.join(folder, span)):
            yield f'the path {span}'
    elif re.fullmatch(r'[\w-]+\.(h|cc|py|proto|md|bzl|sh)', span) and span not in tree.names:
        yield f'the file {span}'


def check_flags(span, code, tree):
    """A span of flags alone, or a call of one of the tree's programs."""
    programs = PROGRAM.findall(span)
    if not programs:
        return
    if code and not re.match(r'\s*(\$ )?(\S*bazelw? run .*)?(\S*/)?(kv_|group_by)', span):
        return
    known = set().union(*(tree.flags.get(program, set()) for program in programs))
    for no, name in FLAG.findall(span.split(' -- ', 1)[-1].split('|')[0]):
        if name not in known and name not in ('help', 'version', 'v') and not (
                no and name[1:] in known):
            yield f'the flag --{no}{name} of {programs[0]}'


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
    tree = Tree()
    wrong = 0
    documents = git_files('*.md')
    for path in documents:
        for number, what in check(path, tree):
            print(f'{path}:{number}: {what}')
            wrong += 1
    print(f'{len(documents)} documents, {wrong} references to what is not there')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
